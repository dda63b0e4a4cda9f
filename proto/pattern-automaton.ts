/** The whole automaton of a pattern in tables, made once from the steps of the engine that compiled it. */

/** A set of places in the pattern that a text may have led to, as the engine has it. */
export interface EngineState {
  /** A match ended in front of the character that led here. */
  readonly isMatch: boolean
  readonly nfaStates: readonly number[]
}

/** The automaton of the engine, which makes states as they are needed; null where it has no room for more. */
export interface Engine {
  readonly failed: boolean
  /** The first characters of the classes that the pattern tells apart, but the very first. */
  readonly classBounds: ArrayLike<number>
  readonly numClasses: number
  makeState(places: readonly number[], flag: number, ids: readonly number[]): EngineState | null
  step(state: EngineState, cls: number, rune: number, anchor: number): EngineState | null
}

/** At each character the pattern may begin anew, or it begins once. */
export const UNANCHORED = 0
export const ANCHORED = 1

const endOfText = -1
/** What stands in front of the text, as the engine's flags: its beginning, a line's beginning, a word character, another. */
const contexts = [4 | 1, 1, 512, 0]
const BEGIN = 0
const LINE = 1
const WORD = 2
const OTHER = 3

/** The most entries of a table, and the most places that are looked at to make one: about ten milliseconds. */
const mostEntries = 16_384
const mostLooked = 60_000

/** States by number, and where each character leads from them. */
export class Automaton {
  /** By state and class of the character: the next state. */
  readonly next: Uint16Array
  /** Likewise: whether all that began up to this character has come to its end. */
  readonly over: Uint8Array
  /** By state: whether a match ended in front of the character that led to it; whether nothing can follow. */
  readonly matched: Uint8Array
  readonly dead: Uint8Array
  /** The first state, by what stands in front of the text. */
  readonly starts: readonly number[]
  /** Classes of characters, with the end of the text as the last. */
  readonly width: number
  /** Classes of the first 256 characters, and whether anything can begin with one of them. */
  readonly latin: Uint8Array
  readonly begins: Uint8Array
  /** A character without which nothing matches; empty where there is none such. */
  readonly needle: string
  /** The character that all matches begin with; empty where there is none such. */
  readonly initial: string
  readonly #bounds: Int32Array

  private constructor(made: Made, bounds: Int32Array) {
    this.next = Uint16Array.from(made.next)
    this.over = Uint8Array.from(made.over)
    this.matched = Uint8Array.from(made.states.keys(), state => (state.isMatch ? 1 : 0))
    this.dead = Uint8Array.from(made.states.keys(), state => (state.nfaStates.length === 0 ? 1 : 0))
    this.starts = made.starts
    this.width = bounds.length + 2
    this.#bounds = bounds
    this.latin = Uint8Array.from({ length: 256 }, (_, rune) => search(bounds, rune))
    this.begins = this.latin.map(cls => (this.#canBegin(cls) ? 1 : 0))
    this.needle = this.#needleOf()
    this.initial = this.#initialOf()
  }

  /** The automaton of a pattern that begins at the place `start`; undefined where it would be too large. */
  static of(engine: Engine, start: number, anchor: typeof UNANCHORED | typeof ANCHORED): Automaton | undefined {
    if (engine.failed || engine.numClasses > 255) return undefined
    const bounds = Int32Array.from(engine.classBounds)
    const made = explore(engine, start, anchor, bounds)
    return made && new Automaton(made, bounds)
  }

  /** The class of a character. */
  classOf(rune: number): number {
    return rune < 256 ? this.latin[rune] : search(this.#bounds, rune)
  }

  #canBegin(cls: number): boolean {
    return this.starts.some(start => {
      const to = this.next[start * this.width + cls]
      return this.dead[to] === 0 || this.matched[to] === 1
    })
  }

  #initialOf(): string {
    const { next, matched, width } = this
    if (this.starts.some(start => matched[next[start * width + width - 1]] === 1)) return ''
    const classes = Array.from({ length: width - 1 }, (_, cls) => cls).filter(cls => this.#canBegin(cls))
    const units = Array.from(this.begins.keys()).filter(unit => this.begins[unit] === 1)
    return classes.length === 1 && units.length === 1 && !this.#reaches(classes[0], 256)
      ? String.fromCharCode(units[0])
      : ''
  }

  /** Whether a class has characters from `rune` on. */
  #reaches(cls: number, rune: number): boolean {
    return cls === this.#bounds.length || this.#bounds[cls] > rune
  }

  #needleOf(): string {
    let best = ''
    if (this.next.length > mostEntries / 4) return best
    for (let cls = 1; cls < this.#bounds.length; cls++) {
      const rune = this.#bounds[cls - 1]
      const isLone = this.#bounds[cls] === rune + 1 && rune < 0x80
      if (isLone && rarity(rune) > rarity(best.charCodeAt(0)) && !this.#matchesWithout(cls)) {
        best = String.fromCharCode(rune)
      }
    }
    return best
  }

  /** Whether a text without characters of a class can match. */
  #matchesWithout(cls: number): boolean {
    const { next, matched, width } = this
    const seen = new Set(this.starts)
    for (const state of seen) {
      if (matched[state] === 1) return true
      for (let other = 0; other < width; other++) if (other !== cls) seen.add(next[state * width + other])
    }
    return false
  }

  /** The first state for a text that is looked at from `at` on. */
  startAt(text: string, at: number): number {
    return this.starts[contextAt(text, at)]
  }
}

/** The character at `at`, which has the UTF-16 unit `unit` there. */
export function runeAt(text: string, at: number, unit: number): number {
  if (unit < 0xd800 || unit > 0xdbff) return unit
  return text.codePointAt(at) ?? unit
}

/** How rarely a character stands in what is written, roughly; of none -1. */
function rarity(code: number): number {
  if (Number.isNaN(code)) return -1
  const usual = frequent.indexOf(String.fromCharCode(code))
  return usual < 0 ? frequent.length : usual
}
const frequent = ' etaoinsrhldcumfpgwybvk0123456789-./:_,'

interface Made {
  readonly states: ReadonlyMap<EngineState, number>
  readonly next: readonly number[]
  readonly over: readonly number[]
  readonly starts: readonly number[]
}

/** All states that texts can lead to, and the steps between them; undefined where that is too much. */
function explore(engine: Engine, start: number, anchor: number, bounds: Int32Array): Made | undefined {
  const states = new Map<EngineState, number>()
  const next: number[] = []
  const over: number[] = []
  const numberOf = (state: EngineState): number => {
    const number = states.get(state) ?? states.size
    states.set(state, number)
    return number
  }
  const starts: number[] = []
  for (const flag of contexts) {
    const state = engine.makeState([start], flag, [])
    if (state === null) return undefined
    starts.push(numberOf(state))
  }
  let looked = 0
  // A Map gives what is added while it is gone through, too.
  for (const state of states.keys()) {
    for (let cls = 0; cls <= engine.numClasses; cls++) {
      looked += state.nfaStates.length + 1
      if (next.length >= mostEntries || looked > mostLooked) return undefined
      const rune = cls === engine.numClasses ? endOfText : cls === 0 ? 0 : bounds[cls - 1]
      const old = engine.step(state, cls, rune, ANCHORED)
      const to = anchor === ANCHORED ? old : engine.step(state, cls, rune, UNANCHORED)
      if (to === null || old === null) return undefined
      next.push(numberOf(to))
      over.push(old.nfaStates.length === 0 ? 1 : 0)
    }
  }
  return { states, next, over, starts }
}

function contextAt(text: string, at: number): number {
  if (at === 0) return BEGIN
  const unit = text.charCodeAt(at - 1)
  if (unit === 0x0a) return LINE
  const letter = unit | 0x20
  return (unit >= 0x30 && unit <= 0x39) || (letter >= 0x61 && letter <= 0x7a) || unit === 0x5f ? WORD : OTHER
}

function search(bounds: Int32Array, rune: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (bounds[middle] <= rune) low = middle + 1
    else high = middle
  }
  return low
}
