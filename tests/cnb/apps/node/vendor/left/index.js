module.exports = text => `left ${text}`;
