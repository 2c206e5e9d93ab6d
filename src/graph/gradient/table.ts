import { elementwiseRules } from './elementwise.ts'
import { layoutRules } from './layout.ts'
import { productRules } from './products.ts'
import { reductionRules } from './reductions.ts'
import type { ForwardOp, GradientRule } from './rule.ts'

/** How each operator passes a gradient back to its inputs. A new operator without a rule does not compile. */
export const gradientRules: { readonly [O in ForwardOp]: GradientRule<O> } = {
  ...elementwiseRules,
  ...productRules,
  ...reductionRules,
  ...layoutRules,
}
