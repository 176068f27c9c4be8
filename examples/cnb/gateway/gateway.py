"""One page of what the two apps say. A host process: it needs no container."""
import http.server
import os
import urllib.request


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthz":
            text = "ok\n"
        else:
            text = "".join(urllib.request.urlopen(os.environ[name], timeout=5).read().decode() for name in ("GREETER", "WEB"))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


print(f"gateway listens on {os.environ['PORT']}")
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
