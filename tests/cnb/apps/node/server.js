// Answers on PORT with what it is; ends well on SIGTERM. With --release it says so and ends.
const left = require('left');

if (process.argv.includes('--release')) {
  console.log('released');
  process.exit(0);
}
const server = require('http').createServer((request, response) => {
  response.end(`${left('web')} ${process.env.NODE_ENV} ${process.getuid()}:${process.getgid()} ${request.url}\n`);
});
server.listen(Number(process.env.PORT), process.env.HOST || '0.0.0.0', () => console.log(`listening on ${process.env.PORT}`));
process.on('SIGTERM', () => { console.log('stopping'); process.exit(0); });
