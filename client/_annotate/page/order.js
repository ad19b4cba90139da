"use strict";
/** Which video to ask about next, so that the answers teach most. Pure. */
const order = (() => {
  const RANDOM_FIRST = 10; // answers before anything is learned: the rows are in random order
  const STEPS = 150;
  const RATE = 0.5;
  const RIDGE = 0.02;

  const dot = (a, b) => {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  };
  const logistic = (x) => 1 / (1 + Math.exp(-x));

  /** Logistic regression with a ridge, by gradient descent; `answers` is a Map from row to yes. */
  function learn(rows, answers) {
    const size = rows[0].features.length;
    const weights = new Float64Array(size);
    let bias = 0;
    for (let step = 0; step < STEPS; step++) {
      const gradient = new Float64Array(size);
      let shift = 0;
      for (const [row, keep] of answers) {
        const { features } = rows[row];
        const error = logistic(dot(weights, features) + bias) - (keep ? 1 : 0);
        for (let i = 0; i < size; i++) gradient[i] += error * features[i];
        shift += error;
      }
      for (let i = 0; i < size; i++) weights[i] -= RATE * (gradient[i] / answers.size + RIDGE * weights[i]);
      bias -= RATE * (shift / answers.size);
    }
    return (row) => logistic(dot(weights, rows[row].features) + bias);
  }

  function distance(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
    return Math.sqrt(sum);
  }

  /**
   * The next row of `open` (rows without an answer, in their order), or null if there is none. The first ten come in
   * their random order; then the most uncertain and the most unlike those answered, and as long as all answers are the
   * same, the most unlike alone.
   */
  function next(rows, answers, open) {
    if (!open.length) return null;
    if (answers.size < RANDOM_FIRST || !rows[0].features.length) return open[0];
    const kinds = new Set(answers.values());
    const probability = kinds.size === 2 ? learn(rows, answers) : () => 0.5;
    const far = open.map((row) => {
      let nearest = Infinity;
      for (const answered of answers.keys()) nearest = Math.min(nearest, distance(rows[row].features, rows[answered].features));
      return nearest;
    });
    const farthest = Math.max(...far) || 1;
    let best = null;
    let most = -1;
    open.forEach((row, index) => {
      const uncertain = 1 - Math.abs(2 * probability(row) - 1);
      const value = uncertain * (0.5 + (0.5 * far[index]) / farthest);
      if (value > most) [best, most] = [row, value];
    });
    return best;
  }
  return { RANDOM_FIRST, learn, next };
})();
if (typeof module !== "undefined") module.exports = order;
