// Runs once before the app starts: the first visit has a number.
const redis = require('resp')(process.env.REDIS);

redis('SET', 'visits', process.env.START_AT, 'NX').then(
  (answer) => {
    console.log(answer ? `visits begin at ${process.env.START_AT}` : 'visits go on');
    process.exit(0);
  },
  (error) => {
    console.error(error.message);
    process.exit(1);
  });
