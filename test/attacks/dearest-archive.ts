/** What the search keeps: the dearest inputs by each measure, and the finds, in a file from which it goes on. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Cost } from './dearest-cost.ts'
import type { Input } from './dearest-seeds.ts'
import { longestBlock } from './limits.ts'

/** An input with what it cost. */
export interface Priced {
  readonly input: Input
  readonly cost: Cost
}

/** A find as it is kept: the description, and what it did. */
export interface Find extends Input {
  readonly found: NonNullable<Cost['found']>
  readonly cost: Omit<Cost, 'found'>
}

/** What makes an input dear. Small bodies count as a kilobyte: any request costs something. */
const measures: Readonly<Record<string, (cost: Cost) => number>> = {
  block: ({ block }) => block,
  'block per KB sent': ({ block, sent }) => block / (sent / 1024 + 1),
  'memory per byte sent': ({ growth, sent }) => growth / (sent + 1024),
  'memory per byte': ({ growth, inflated }) => growth / (inflated + 65_536),
}
const kept = 3
const mostFinds = 60

interface State {
  readonly turn: number
  readonly elite: readonly (readonly [cell: string, members: readonly Priced[]])[]
  readonly finds: readonly (readonly [key: string, find: Find])[]
}

/** The same whatever the numbers in it are. */
export const skeleton = ({ way, language, encoding, body }: Input): string =>
  `${way} ${language} ${encoding} ${JSON.stringify(body).replace(/\d+/g, 'n')}`

const severity = ({ found, cost }: Find): number =>
  found === 'end' || found === 'hang' ? Infinity : Math.max(cost.block / longestBlock, cost.peak / 512)

export class Archive {
  turn = 0
  readonly #elite = new Map<string, Priced[]>()
  readonly #finds = new Map<string, Find>()
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    if (!existsSync(path)) return
    const { turn, elite, finds } = JSON.parse(readFileSync(path, 'utf8')) as State
    this.turn = turn
    for (const [cell, members] of elite) this.#elite.set(cell, [...members])
    for (const [key, find] of finds) this.#finds.set(key, find)
  }

  /** The dearest inputs that `fits`. */
  elite(fits: (input: Input) => boolean): Input[] {
    return [...this.#elite.values()].flatMap(members => members.map(({ input }) => input).filter(fits))
  }

  /** Takes note; whether it is among the dearest of its kind. */
  note(priced: Priced): boolean {
    const { way, language, encoding } = priced.input
    let dear = false
    for (const [measure, of] of Object.entries(measures)) {
      const cell = `${measure} ${way} ${language} ${encoding}`
      const members = this.#elite.get(cell) ?? []
      const alike = members.findIndex(({ input }) => skeleton(input) === skeleton(priced.input))
      // One of each build, so that a good one does not fill the place with its like.
      if (alike >= 0 && of(members[alike].cost) >= of(priced.cost)) continue
      if (alike >= 0) members.splice(alike, 1)
      members.push(priced)
      members.sort((a, b) => of(b.cost) - of(a.cost))
      this.#elite.set(cell, members.slice(0, kept))
      dear ||= members.indexOf(priced) < kept
    }
    return dear
  }

  /** Whether something built alike was found already. */
  knows(input: Input): boolean {
    return this.#finds.has(skeleton(input))
  }

  /** Keeps a find. */
  find(input: Input, { found, ...cost }: Cost): void {
    if (found === undefined) return
    this.#finds.set(skeleton(input), { ...input, found, cost })
    if (this.#finds.size <= mostFinds) return
    const [[mildest]] = [...this.#finds].toSorted((a, b) => severity(a[1]) - severity(b[1]))
    this.#finds.delete(mildest)
  }

  /** The worst first. */
  finds(): Find[] {
    return [...this.#finds.values()].toSorted((a, b) => severity(b) - severity(a) || a.cost.sent - b.cost.sent)
  }

  /** The dearest by each measure, in words. */
  records(): string[] {
    return Object.entries(measures).map(([measure, of]) => {
      const best = Math.max(
        0,
        ...[...this.#elite]
          .filter(([cell]) => cell.startsWith(`${measure} `))
          .flatMap(([, all]) => all.map(({ cost }) => of(cost))),
      )
      return `${measure} ${best.toFixed(best < 10 ? 2 : 0)}`
    })
  }

  /** Writes all of it. */
  save(): void {
    const state: State = { turn: this.turn, elite: [...this.#elite], finds: [...this.#finds] }
    replace(this.#path, JSON.stringify(state))
  }
}

/** Writes a file so that there is always a whole one. */
export function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
