/**
 * Whether and where a pattern matches, by looking characters up in its automaton. Nothing a text says makes that take longer
 * than its length, and nothing is made.
 */
import { ANCHORED, Automaton, type Engine, runeAt, UNANCHORED } from './pattern-automaton.ts'

/** A part of a text, and what it took to find it. */
export interface Place {
  start: number
  end: number
  /** Characters looked up. */
  steps: number
}

/** Finds matches of one pattern. */
export class Table {
  /** The most characters that are looked up for one of the text, to say whether it matches. */
  readonly perCharacter: number
  /** For texts that are gone through once, where at each character the pattern may begin anew. */
  readonly #whole: Automaton | undefined
  /** For one beginning only; made when a place is asked for first. */
  #single: Automaton | undefined
  #makeSingle: (() => Automaton | undefined) | undefined
  /** Characters looked up by `matches`, beyond one for each of the text. */
  steps = 0
  readonly #place: Place = { start: 0, end: 0, steps: 0 }

  private constructor(
    whole: Automaton | undefined,
    single: Automaton | undefined,
    perCharacter: number,
    makeSingle: (() => Automaton | undefined) | undefined,
  ) {
    this.#whole = whole
    this.#single = single
    this.perCharacter = perCharacter
    this.#makeSingle = makeSingle
  }

  /** The table of a pattern that begins at the place `start`; undefined where there is none of a size that can be kept. */
  static of(engine: () => Engine, start: number): Table | undefined {
    const makeSingle = (): Automaton | undefined => Automaton.of(engine(), start, ANCHORED)
    const whole = Automaton.of(engine(), start, UNANCHORED)
    if (whole !== undefined) return new Table(whole, undefined, 1, makeSingle)
    // Where beginnings may overlap in many ways, as with numbers of some length, it is small for one of them.
    const single = makeSingle()
    const longest = single && longestRun(single)
    return longest === undefined ? undefined : new Table(undefined, single, longest, undefined)
  }

  /** Makes what finding places would have to wait for. */
  prepare(): void {
    if (this.#makeSingle === undefined) return
    this.#single = this.#makeSingle()
    this.#makeSingle = undefined
  }

  /** Whether a part of the text matches. */
  matches(text: string): boolean {
    const automaton = this.#whole ?? this.#single
    if (automaton === undefined || !text.includes(automaton.needle)) return false
    if (this.#whole !== undefined) return occurs(this.#whole, text, 0)
    const found = this.#findFromEach(text, 0, this.#place, Infinity)
    this.steps += this.#place.steps
    return found
  }

  /** Whether a part of the text behind `from` may match: sure where it says that none does. */
  mayMatch(text: string, from: number): boolean {
    return this.#whole === undefined || occurs(this.#whole, text, from)
  }

  /**
   * Finds where the first match from `from` on is to be looked for: between `out.start`, before which nothing begins that
   * matches, and `out.end`, behind which nothing goes on that began before the match did. Says whether there is one; not
   * so where more than `limit` characters had to be looked up, as `out.steps` tells.
   */
  find(text: string, from: number, out: Place, limit: number): boolean {
    this.prepare()
    const whole = this.#whole
    if (whole === undefined) return this.#findFromEach(text, from, out, limit)
    if (!passes(whole, text, from, out, this.#single === undefined)) return false
    if (this.#single === undefined) return true
    const { start, steps } = out
    const found = this.#findFromEach(text, start, out, limit - steps)
    out.steps += steps
    return found
  }

  /** Begins at each character, until a match does. */
  #findFromEach(text: string, from: number, out: Place, limit: number): boolean {
    const automaton = this.#single
    out.steps = 0
    if (automaton === undefined) return false
    const { begins, initial } = automaton
    for (let begin = from; begin <= text.length && out.steps <= limit; begin++) {
      if (initial !== '') {
        const at = text.indexOf(initial, begin)
        out.steps += (at < 0 ? text.length : at) - begin
        if (at < 0) return false
        begin = at
      }
      const unit = text.charCodeAt(begin)
      if (unit < 256 && begins[unit] === 0) {
        out.steps++
        continue
      }
      if (runs(automaton, text, begin, out)) return true
      if (runeAt(text, begin, unit) > 0xffff) begin++
    }
    return false
  }
}

/** Whether there is a match from `from` on. */
function occurs(automaton: Automaton, text: string, from: number): boolean {
  const { next, matched, width, latin } = automaton
  let state = automaton.startAt(text, from)
  for (let i = from; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 256) state = next[state * width + latin[unit]]
    else {
      const rune = runeAt(text, i, unit)
      if (rune > 0xffff) i++
      state = next[state * width + automaton.classOf(rune)]
    }
    if (matched[state] === 1) return true
  }
  return matched[next[state * width + width - 1]] === 1
}

/** Goes through the text from `from` on, until there was a match, and with `on` until all that began before has ended. */
function passes(automaton: Automaton, text: string, from: number, out: Place, on: boolean): boolean {
  const { next, over, matched, width } = automaton
  let state = automaton.startAt(text, from)
  let found = false
  let i = from
  out.start = from
  while (i < text.length) {
    const rune = runeAt(text, i, text.charCodeAt(i))
    const entry = state * width + automaton.classOf(rune)
    state = next[entry]
    i += rune > 0xffff ? 2 : 1
    found ||= matched[state] === 1
    if (found && !on) break
    if (over[entry] === 0) continue
    if (found) break
    out.start = i
  }
  out.end = i
  out.steps = i - from
  return found || matched[next[state * width + width - 1]] === 1
}

/** Whether a match begins here; sets where, and where nothing goes on any more. */
function runs(automaton: Automaton, text: string, begin: number, out: Place): boolean {
  const { next, matched, dead, width } = automaton
  let state = automaton.startAt(text, begin)
  let found = false
  let i = begin
  while (i < text.length) {
    const rune = runeAt(text, i, text.charCodeAt(i))
    state = next[state * width + automaton.classOf(rune)]
    i += rune > 0xffff ? 2 : 1
    found ||= matched[state] === 1
    if (dead[state] === 1) break
  }
  out.start = begin
  out.end = i
  out.steps += i - begin + 1
  return found || (i === text.length && matched[next[state * width + width - 1]] === 1)
}

/** The most characters until nothing can follow; undefined where there is no such number. */
function longestRun({ next, dead, width }: Automaton): number | undefined {
  const states = dead.length
  const into = new Uint32Array(states)
  for (let i = 0; i < states * width; i++) into[next[i]]++
  const run = new Uint32Array(states)
  const free = Array.from(into.keys()).filter(state => into[state] === 0)
  let gone = 0
  let longest = 0
  for (let state = free.pop(); state !== undefined; state = free.pop()) {
    gone++
    for (let cls = 0; cls < width; cls++) {
      const to = next[state * width + cls]
      run[to] = Math.max(run[to], run[state] + 1)
      longest = Math.max(longest, run[to])
      if (--into[to] === 0) free.push(to)
    }
  }
  // States that were not come to lead back to themselves; dead ones may, that is no way of going on.
  const circular = dead.reduce((count, isDead, state) => count + (isDead === 0 && into[state] > 0 ? 1 : 0), 0)
  return gone === 0 || circular > 0 ? undefined : longest
}
