/** Probabilities by label: `values[i]` is that of `names[i]`. Names differ. */
export interface NamedScores {
  readonly names: readonly string[]
  readonly values: Float32Array
}

/**
 * Writes Avro's `map<float>` of always the same keys: everything but the numbers is laid out once. For a model of a
 * thousand labels that is most of what an event costs.
 */
export class ScoreMapWriter {
  readonly names: readonly string[]
  readonly #layout: Buffer
  /** Where the number of each name stands in the layout. */
  readonly #places: Int32Array

  constructor(names: readonly string[]) {
    this.names = names
    const parts: Buffer[] = []
    this.#places = new Int32Array(names.length)
    let size = 0
    const add = (part: Buffer): void => {
      parts.push(part)
      size += part.length
    }
    // a map is blocks of entries, each with its count, and an empty one at the end
    if (names.length > 0) add(long(names.length))
    for (const [index, name] of names.entries()) {
      const key = Buffer.from(name)
      add(long(key.length))
      add(key)
      this.#places[index] = size
      add(Buffer.alloc(4))
    }
    add(long(0))
    this.#layout = Buffer.concat(parts)
  }

  get sizeBytes(): number {
    return this.#layout.length
  }

  /** Writes `sizeBytes` bytes at `at`. */
  write(values: Float32Array, into: Buffer, at: number): void {
    this.#layout.copy(into, at)
    const view = new DataView(into.buffer, into.byteOffset + at, this.#layout.length)
    for (let index = 0; index < this.#places.length; index++) {
      view.setFloat32(this.#places[index] ?? 0, values[index] ?? NaN, true)
    }
  }
}

/** Avro's long of a count: zigzag, then seven bits a byte, lowest first. */
function long(count: number): Buffer {
  const bytes: number[] = []
  let rest = count * 2
  while (rest > 127) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
