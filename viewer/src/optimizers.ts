// Rules that roll a ball: each turns a gradient into a step, and keeps its state.
//
// Sources: momentum as in PyTorch's SGD (v <- m v + g, x <- x - lr v); RMSprop, Tieleman and Hinton 2012;
// Adam, Kingma and Ba 2015, with the correction of both moments.

export type RuleName = 'gd' | 'momentum' | 'rmsprop' | 'adam';

export interface RuleSettings {
  /** Learning rate of gradient descent and momentum. */
  lr: number;
  /** Learning rate of RMSprop and Adam. */
  adaptiveLr: number;
  /** Of momentum, and the decay of Adam's first moment. */
  momentum: number;
  /** The decay of the mean square. */
  decay: number;
}

export const RULES: { name: RuleName; title: string }[] = [
  { name: 'gd', title: 'Gradient descent' },
  { name: 'momentum', title: 'Momentum' },
  { name: 'rmsprop', title: 'RMSprop' },
  { name: 'adam', title: 'Adam' },
];

const EPSILON = 1e-8;

/** A rule with its state; `step` gives the displacement for a gradient. */
export class Rule {
  private steps = 0;
  private readonly first = [0, 0];
  private readonly second = [0, 0];

  constructor(readonly name: RuleName) {}

  step(gradient: [number, number], s: RuleSettings): [number, number] {
    this.steps++;
    const of = (k: 0 | 1): number => {
      const g = gradient[k];
      if (this.name === 'gd') return -s.lr * g;
      if (this.name === 'momentum') {
        this.first[k] = s.momentum * this.first[k]! + g;
        return -s.lr * this.first[k]!;
      }
      this.second[k] = s.decay * this.second[k]! + (1 - s.decay) * g * g;
      if (this.name === 'rmsprop') return (-s.adaptiveLr * g) / (Math.sqrt(this.second[k]!) + EPSILON);
      this.first[k] = s.momentum * this.first[k]! + (1 - s.momentum) * g;
      const m = this.first[k]! / (1 - s.momentum ** this.steps);
      const v = this.second[k]! / (1 - s.decay ** this.steps);
      return (-s.adaptiveLr * m) / (Math.sqrt(v) + EPSILON);
    };
    return [of(0), of(1)];
  }
}
