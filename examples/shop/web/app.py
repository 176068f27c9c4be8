"""A shop in the standard library: visits in redis, orders in postgres.

    GET /          a page with both            GET /orders    the orders as JSON
    POST /order    item=NAME; makes an order    GET /healthz   200 when both stores answer
"""
import html
import http.server
import json
import os
import signal
import sys
import urllib.parse

import pg
import resp

REDIS, POSTGRES = os.environ["REDIS"], os.environ["POSTGRES"]


def sql(statement, *params):
    return pg.query(POSTGRES, "postgres", "shop", statement, *params)


def orders():
    return [{"id": int(i), "item": item, "at": at} for i, item, at in
            sql("SELECT id, item, to_char(at, 'YYYY-MM-DD HH24:MI:SS') FROM orders ORDER BY id DESC LIMIT 100")]


PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>shop</title>
<style>body {{ font: 1.1em system-ui; max-width: 36em; margin: 3em auto }} td {{ padding: .2em 1em .2em 0 }}</style>
<h1>A shop on locald</h1>
<p>Visits, counted in redis: <b>{visits}</b>. Orders, kept in postgres: <b>{count}</b>.</p>
<form method="post" action="/order"><input name="item" placeholder="an apple" required autofocus> <button>Order</button></form>
<table>{rows}</table>
"""


class Shop(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body, kind="text/html; charset=utf-8", **headers):
        data = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(data), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/":
            visits, known = resp.command(REDIS, "INCR", "visits"), orders()
            rows = "".join(f"<tr><td>{o['id']}<td>{html.escape(o['item'])}<td>{o['at']}" for o in known)
            count = sql("SELECT count(*) FROM orders")[0][0]
            self.reply(200, PAGE.format(visits=visits, count=count, rows=rows))
        elif self.path == "/orders":
            self.reply(200, json.dumps(orders()) + "\n", "application/json")
        elif self.path == "/healthz":
            resp.command(REDIS, "PING")
            sql("SELECT 1")
            self.reply(200, "ok\n", "text/plain")
        else:
            self.reply(404, "no such page\n", "text/plain")

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        form = urllib.parse.parse_qs(self.rfile.read(min(size, 65536)).decode())
        if self.path != "/order" or not form.get("item"):
            return self.reply(400, "POST /order with item=NAME\n", "text/plain")
        sql("INSERT INTO orders (item) VALUES ($1)", form["item"][0][:200])
        self.reply(303, "ordered\n", "text/plain", Location="/")

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, RuntimeError) as e:  # a store that is down is an answer, not a stack trace
            print(f"{self.path}: {e}", file=sys.stderr)
            self.close_connection = True
            try:
                self.reply(503, f"{e}\n", "text/plain")
            except OSError:
                pass

    def log_message(self, fmt, *args):
        if self.path != "/healthz":
            print(fmt % args)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sql("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL, at timestamptz NOT NULL DEFAULT now())")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Shop)
    print(f"shop: http://127.0.0.1:{server.server_port}/")
    server.serve_forever()


if __name__ == "__main__":
    main()
