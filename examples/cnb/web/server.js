// Counts its visits in redis. Everything it has comes from its environment: PORT, REDIS.
const fs = require('fs');
const http = require('http');
const redis = require('resp')(process.env.REDIS);

const server = http.createServer(async (request, response) => {
  try {
    if (request.url === '/healthz') {
      await redis('PING');
      return response.end('ok\n');
    }
    const visits = await redis('INCR', 'visits');
    response.end(fs.readFileSync('pages/home.txt', 'utf8').replace('VISITS', visits));
  } catch (error) {
    response.writeHead(503);
    response.end(`${error.message}\n`);
  }
});
server.listen(Number(process.env.PORT), '0.0.0.0', () => console.log(`web listens on ${process.env.PORT}`));
process.on('SIGTERM', () => process.exit(0));
