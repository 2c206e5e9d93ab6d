import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { LabelstreamError } from '../core/errors.ts'

/** Ids and mask, [rows, columns], under the names and in the integers that a graph takes. */
export type MakeFeeds = (
  rows: number,
  columns: number,
  ids: Int32Array,
  mask: Int32Array,
) => Record<string, Tensor>

type Values = (ids: Int32Array, mask: Int32Array) => Int32Array

/** What inputs hold, by the names that exported encoders give them. */
const inputs: Readonly<Record<string, Values>> = {
  input_ids: (ids) => ids,
  attention_mask: (_ids, mask) => mask,
  // one text, no pair
  token_type_ids: (ids) => new Int32Array(ids.length),
}

/** Throws MODEL_UNSUPPORTED naming `folder` and the input that nothing is known for. */
export function feedsOf(session: InferenceSession, folder: string): MakeFeeds {
  const makers = session.inputMetadata.map(
    (input): [string, (values: Int32Array, dims: number[]) => Tensor, Values] => {
      const values = Object.hasOwn(inputs, input.name) ? inputs[input.name] : undefined
      const type = input.isTensor ? input.type : undefined
      if (values !== undefined && type === 'int32') {
        return [input.name, (data, dims) => new Tensor('int32', data, dims), values]
      }
      if (values !== undefined && type === 'int64') {
        return [
          input.name,
          (data, dims) => new Tensor('int64', BigInt64Array.from(data, BigInt), dims),
          values,
        ]
      }
      throw new LabelstreamError(
        'MODEL_UNSUPPORTED',
        `${folder}: its graph asks for ${input.name} (${type ?? 'no tensor'}); known are int32 or int64 ${Object.keys(inputs).join(', ')}`,
      )
    },
  )
  return (rows, columns, ids, mask) =>
    Object.fromEntries(
      makers.map(([name, tensor, values]) => [name, tensor(values(ids, mask), [rows, columns])]),
    )
}

/** The result called `name`, or the only one. Throws MODEL_UNSUPPORTED. */
export function resultName({ outputNames }: InferenceSession, name: string, folder: string): string {
  if (outputNames.includes(name)) return name
  const [only, other] = outputNames
  if (only !== undefined && other === undefined) return only
  throw new LabelstreamError(
    'MODEL_UNSUPPORTED',
    `${folder}: its graph has no output ${name}, and more than one: ${outputNames.join(', ')}`,
  )
}
