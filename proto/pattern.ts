/**
 * Regular expressions that users write, in RE2's syntax and with its meaning. Whatever the text, a pattern takes time that
 * grows with its length alone. The one place that knows the engine.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js'
import { patternProblem } from './pattern-problem.ts'
import { type Engine, UNANCHORED } from './pattern-automaton.ts'
import { type Place, Table } from './pattern-table.ts'

/** What may still be spent on texts; one unit is a character looked up in a table, one or two nanoseconds. */
export interface Allowance {
  left: number
}

/** What one call may spend where nobody says otherwise: about 20 ms. */
export const usualAllowance = 12_000_000
/** What the engine takes for a character and a place in the pattern, and what is reckoned for a match. */
const engineCost = 16
const matchCost = 1000
/** Work of the engine that is not worth being put off. */
const shortWork = 50_000
const fewMatches = 8
/** The longest text that is looked at, in UTF-16 units. */
const longestText = 1 << 20
/** The longest pattern, and the most places it may have where counts such as `{100}` are written out. */
const longestPattern = 8192
const mostPlaces = 5000
/** Bytes, by its own reckoning, that the engine may keep for a pattern that has no table. */
const engineMemory = 1 << 20

/** A compiled pattern. */
export class Pattern {
  readonly source: string
  /** Names of its groups, in order; undefined for one without. */
  readonly groups: readonly (string | undefined)[]
  readonly #re: RE2JS
  readonly #places: number
  /** Made when it is needed first; null where the pattern has too many states for one. */
  #table: Table | null | undefined
  readonly #place: Place = { start: 0, end: 0, steps: 0 }

  /** @throws SyntaxError saying what is wrong with it, and where */
  constructor(source: string) {
    this.source = source
    this.#re = compile(source)
    this.#places = this.#re.programSize()
    const names = Object.entries(this.#re.namedGroups())
    this.groups = Array.from(
      { length: this.#re.groupCount() },
      (_, i) => names.find(([, number]) => number === i + 1)?.[0],
    )
  }

  /** Makes what the first text would have to wait for: it takes some milliseconds. */
  prepare(): void {
    this.#tableOf()?.prepare()
  }

  /** The longest text it is held against, in UTF-16 units: longer ones do not match. */
  get longest(): number {
    const table = this.#tableOf()
    const perCharacter = table === null ? engineCost * this.#places : table.perCharacter
    return Math.min(longestText, Math.floor(usualAllowance / perCharacter))
  }

  /** Whether a part of the text matches. What that costs is taken from the allowance. */
  matches(text: string, allowance?: Allowance): boolean {
    const table = this.#tableOf()
    if (text.length > this.longest) return false
    if (table === null) {
      if (allowance !== undefined) allowance.left -= text.length * this.#places * engineCost
      return this.#re.test(text)
    }
    table.steps = text.length
    const found = table.matches(text)
    if (allowance !== undefined) allowance.left -= table.steps
    return found
  }

  /**
   * What each group matched, in order, '' for one that took no part; undefined when the text does not match, or it would
   * take too long to tell.
   */
  extract(text: string): readonly string[] | undefined {
    if (text.length > this.longest) return undefined
    if (!this.matches(text)) return undefined
    const found = this.#find(text, 0, 1 + this.groups.length, 0, { left: usualAllowance })
    if (typeof found === 'number') return undefined
    return this.groups.map((_, i) => (found[2 * i + 2] < 0 ? '' : text.slice(found[2 * i + 2], found[2 * i + 3])))
  }

  /**
   * The text with all that matches replaced by what `by` makes of it, as Go's `ReplaceAllStringFunc` does it; undefined
   * where that would take more than is allowed, of which it takes what it spends.
   */
  replace(
    text: string,
    by: (match: string) => string,
    allowance: Allowance = { left: usualAllowance },
  ): string | undefined {
    if (text.length > this.longest || allowance.left < 0) return undefined
    if (!this.matches(text, allowance)) return text
    let out = ''
    let copied = 0
    let from = 0
    let hits = 0
    while (from <= text.length) {
      const found = this.#find(text, from, 1, hits++, allowance)
      if (found === UNTOLD) return undefined
      if (found === NONE) break
      const [start, end] = found
      // An empty match right behind another counts not.
      if (end > copied || start === 0) {
        allowance.left -= matchCost
        out += text.slice(copied, start) + by(text.slice(start, end))
        copied = end
      }
      from = end > from ? end : from + widthAt(text, from)
    }
    return out + text.slice(copied)
  }

  /**
   * Finds where the first match from `from` on and its first groups begin and end; `found` were found before. What it costs
   * is known before it is spent.
   */
  #find(
    text: string,
    from: number,
    groups: number,
    found: number,
    allowance: Allowance,
  ): readonly number[] | typeof NONE | typeof UNTOLD {
    const table = this.#tableOf()
    const place = this.#place
    place.start = from
    place.end = text.length
    // Few matches in a short text are not worth a look at where in it they are.
    const isShort = found < fewMatches && (text.length - from) * this.#places * engineCost < shortWork
    if (table !== null && isShort) {
      allowance.left -= text.length - from
      if (!table.mayMatch(text, from)) return NONE
    } else if (table !== null) {
      const isThere = table.find(text, from, place, allowance.left)
      allowance.left -= place.steps
      if (!isThere) return allowance.left < 0 ? UNTOLD : NONE
    }
    allowance.left -= (place.end - place.start) * this.#places * engineCost
    if (allowance.left < 0) return UNTOLD
    const [isFound, places] = this.#re.re2().matchWithGroup(text, place.start, text.length, UNANCHORED, groups)
    return isFound && places !== null ? places : NONE
  }

  #tableOf(): Table | null {
    if (this.#table !== undefined) return this.#table
    const engine: CompiledByEngine = this.#re.re2()
    const fresh = (): CompiledByEngine['dfa'] => {
      // What states it made before are let go: with a table it is asked for places of matches only, without them.
      engine.lazyDFA = null
      return engine.dfa
    }
    this.#table = Table.of(fresh, engine.prog.start) ?? null
    const dfa = fresh()
    dfa.stateBudget = dfa.memBudget = engineMemory
    return this.#table
  }
}

/** What is used of the engine's inside, whose version is pinned. */
interface CompiledByEngine {
  readonly prog: { readonly start: number }
  /** Made when it is asked for. */
  readonly dfa: Engine & { stateBudget: number; memBudget: number }
  lazyDFA: unknown
}

const NONE = 1
const UNTOLD = 2

/** Compiles a pattern. @throws SyntaxError saying what is wrong with it, and where */
export const compilePattern = (source: string): Pattern => new Pattern(source)

/**
 * The pattern of whole texts that a text with wildcards stands for: `wildcards` has what each of its signs means, `flags`
 * are RE2's.
 */
export function wildcardPattern(text: string, wildcards: Readonly<Record<string, string>>, flags: string): Pattern {
  const source = text.replace(/[\\^$.*+?()[\]{}|]/g, sign => wildcards[sign] ?? `\\${sign}`)
  return new Pattern(`(?${flags})\\A(?:${source})\\z`)
}

function compile(source: string): RE2JS {
  if (source.length > longestPattern) {
    throw new SyntaxError(`a pattern has at most ${longestPattern} characters, this one has ${source.length}`)
  }
  let re: RE2JS
  try {
    re = RE2JS.compile(source)
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error
    throw new SyntaxError(patternProblem(source, error, refusal), { cause: error })
  }
  if (re.programSize() > mostPlaces) {
    throw new SyntaxError(
      `it is too large: with its counts written out it has ${re.programSize()} parts of at most ${mostPlaces}`,
    )
  }
  return re
}

/** What the engine says against a part of a pattern. */
function refusal(source: string): { error: string; input: string | null } | undefined {
  try {
    RE2JS.compile(source)
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return error
  }
  return undefined
}

const widthAt = (text: string, at: number): number => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)
