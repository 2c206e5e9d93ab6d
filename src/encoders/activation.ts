import type { GraphBuilder } from '../graph/builder.ts'
import type { Tensor } from '../graph/tensor.ts'

/** Activation functions by meaning; Hugging Face has several names for some of them. */
export type Activation = 'gelu' | 'gelu_tanh' | 'quick_gelu' | 'relu' | 'silu' | 'tanh' | 'sigmoid' | 'linear'

/** `hidden_act` of config.json to the function it names (transformers, activations.py, ACT2CLS). */
export const activationNames: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_python: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  gelu_accurate: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_python_tanh: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
  tanh: 'tanh',
  sigmoid: 'sigmoid',
  linear: 'linear',
}

/** Element by element; the shape stays. */
export function activate(g: GraphBuilder, activation: Activation, x: Tensor): Tensor {
  switch (activation) {
    case 'gelu':
      return g.apply('Gelu', [x], { approximate: 'none' })[0]
    case 'gelu_tanh':
      return g.apply('Gelu', [x], { approximate: 'tanh' })[0]
    case 'quick_gelu':
      return g.mul(x, g.sigmoid(g.mul(x, g.scalar(1.702, x.type))))
    case 'relu':
      return g.relu(x)
    case 'silu':
      return g.mul(x, g.sigmoid(x))
    case 'tanh':
      return g.tanh(x)
    case 'sigmoid':
      return g.sigmoid(x)
    case 'linear':
      return x
  }
}
