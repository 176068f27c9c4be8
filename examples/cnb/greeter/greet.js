require('http').createServer((request, response) => response.end('hello\n')).listen(Number(process.env.PORT), '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
