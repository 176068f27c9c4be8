// The least of a redis client: one connection for each command, simple answers. Stands for the modules of a real app.
const net = require('net');

module.exports = (address) => (...words) => new Promise((resolve, reject) => {
  const [host, port] = (address || '').split(':');
  const socket = net.connect(Number(port), host);
  socket.on('error', reject);
  socket.on('data', (data) => {
    socket.end();
    const text = data.toString().trim();
    if (text[0] === '-') reject(new Error(text.slice(1)));
    else resolve(text === '$-1' ? null : text.slice(1));
  });
  socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
});
