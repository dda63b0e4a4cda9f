/** The labels `le` and `quantile`, whose values are numbers. */
import { encodedLabel } from '../prometheus/label-bytes.ts'
import type { Numbers } from '../../proto/numbers.ts'

/** One of them with its value. */
export interface ExtraLabel {
  readonly name: 'le' | 'quantile'
  /** As a label of a series in 1.0. */
  readonly field: Buffer
  readonly text: Buffer
  /** Number of the value as a symbol; -1 where not yet known. */
  symbol: number
}

/** A number as Go's `FormatFloat(n, 'f', -1, 64)` writes it: the fewest digits that tell it apart, never an exponent. */
export function formatFloat(n: number): string {
  if (!Number.isFinite(n)) return Number.isNaN(n) ? 'NaN' : n > 0 ? '+Inf' : '-Inf'
  const text = String(n)
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (match === null) return text
  const [, sign, first, rest = '', exponent] = match
  const power = Number(exponent)
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${first}${rest}`
  const digits = first + rest
  return sign + digits.padEnd(power + 1, '0')
}

/** How many are kept. */
const most = 10_000

/** The labels made so far. */
export class ExtraLabels {
  readonly #name: 'le' | 'quantile'
  readonly #labels = new Map<number, ExtraLabel>()
  readonly #last: ExtraLabel[] = []
  readonly #lastValues: number[] = []

  constructor(name: 'le' | 'quantile') {
    this.#name = name
  }

  /** The label with that value. */
  of(value: number): ExtraLabel {
    let label = this.#labels.get(value)
    if (label !== undefined) return label
    const text = formatFloat(value)
    label = { name: this.#name, field: encodedLabel([this.#name, text]), text: Buffer.from(text), symbol: -1 }
    if (this.#labels.size < most) this.#labels.set(value, label)
    return label
  }

  /** The labels of the values at `from`, `from + step`, ...: usually those of the time before. */
  list(numbers: Numbers, step: number): readonly ExtraLabel[] {
    const { values, length } = numbers
    for (let i = 0, at = 0; at < length; i++, at += step) {
      const value = values[at]
      if (this.#lastValues[i] === value) continue
      this.#lastValues[i] = value
      this.#last[i] = this.of(value)
    }
    return this.#last
  }

  /** Forgets the numbers of symbols, which have changed. */
  forgetSymbols(): void {
    for (const label of this.#labels.values()) label.symbol = -1
    this.#lastValues.length = this.#last.length = 0
  }
}
