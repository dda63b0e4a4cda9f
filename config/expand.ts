/** References in values: `${env:NAME}`, `${env:NAME:-default}`, `${file:path}`, `${yaml:text}`, nested and escaped. */
import {
  type MapEntry,
  everyNode,
  type MapNode,
  type Missing,
  type Node,
  readFragment,
  type ScalarNode,
} from './document.ts'
import { limits, TooMuch } from './limits.ts'
import type { Place } from './place.ts'
import { Report } from './report.ts'
import { type ReadFile, readFailure, readText, schemeFault, splitUri, variableName } from './sources.ts'

/** How what is referred to is read. */
interface From {
  readonly readFile?: ReadFile | undefined
  /** Characters of it that may be read at once. */
  readonly most?: number | undefined
}

/** The tree with every reference replaced by what it refers to, and `$$` by `$`. */
export function expand(node: Node, env: NodeJS.ProcessEnv, report: Report, from: From = {}): Node {
  const outside = new Outside(env, from)
  let values = 0
  const made = eachScalar(node, scalar => {
    if (typeof scalar.value !== 'string' || values > limits.values) return scalar
    const expanded = new Expansion(scalar, outside, report).run(scalar.value)
    for (const _ of everyNode(expanded)) values++
    return unescape(expanded)
  })
  if (values > limits.values)
    report.error('CONFIG_SOURCE', node.place, `the references stand for more than ${limits.values} values`)
  return made
}

/** The same for a whole configuration, whose top is a section before and after. */
export function expandSections(node: MapNode, env: NodeJS.ProcessEnv, report: Report, from?: From): MapNode {
  const made = expand(node, env, report, from)
  return made.kind === 'map' ? made : { ...node, entries: new Map() }
}

/** The tree with its scalars replaced. */
function eachScalar(node: Node, replace: (scalar: ScalarNode) => Node): Node {
  if (node.kind === 'scalar') return replace(node)
  if (node.kind === 'list') return { ...node, items: node.items.map(item => eachScalar(item, replace)) }
  const entries = new Map<string, MapEntry>()
  for (const [key, entry] of node.entries) entries.set(key, { ...entry, value: eachScalar(entry.value, replace) })
  return { ...node, entries }
}

/** A text as it has to be written to be read as it is: with `$$` for each `$`, where one could be taken for more than that. */
export const escaped = (text: string): string =>
  text.includes('$$') || text.includes('${') ? text.replaceAll('$', () => '$$') : text

const single = (text: string) => text.replaceAll('$$', () => '$')

function unescape(node: Node): Node {
  const made = eachScalar(node, scalar =>
    typeof scalar.value === 'string' ? { ...scalar, value: single(scalar.value), ...rawOf(scalar) } : scalar,
  )
  return made.kind === 'scalar' ? made : { ...made, ...rawOf(made) }
}

const rawOf = (node: Node) => (node.text === undefined ? {} : { text: single(node.text) })

/** Where in a text the next reference stands, if there is one that is not escaped: the innermost first. */
function findReference(text: string): { start: number; end: number } | undefined {
  let from = 0
  for (let close = text.indexOf('}'); close >= 0; close = text.indexOf('}', from)) {
    const open = text.lastIndexOf('${', close)
    if (open >= from) {
      let dollars = 0
      while (text[open - 1 - dollars] === '$') dollars++
      // After an odd run of `$` the brace belongs to an escaped one.
      if (dollars % 2 === 0) return { start: open, end: close + 1 }
    }
    from = close + 1
  }
  return undefined
}

/** What is referred to: variables, and files, each read once. */
class Outside {
  readonly env: NodeJS.ProcessEnv
  readonly #readFile: ReadFile
  readonly #most: number
  readonly #texts = new Map<string, string | Error>()
  #brought = 0

  constructor(env: NodeJS.ProcessEnv, { readFile = readText, most = Infinity }: From) {
    this.env = env
    this.#readFile = readFile
    this.#most = most
  }

  /** Counts what a reference brings. Says what is wrong when it is too much. */
  bring({ length }: string): string | undefined {
    if (length > limits.reference) return `it brings more than ${limits.reference} characters`
    this.#brought += length
    if (this.#brought > this.#most) throw new TooMuch()
    if (this.#brought <= limits.referencesTogether) return undefined
    return `the references bring more than ${limits.referencesTogether} characters together`
  }

  /** The text, or why there is none. */
  file(path: string): string | Error {
    let text = this.#texts.get(path)
    if (text === undefined) {
      try {
        text = this.#readFile(path)
      } catch (error) {
        text = new Error(readFailure(error), { cause: error })
      }
      this.#texts.set(path, text)
    }
    return text
  }
}

/** Where a reference stands in the text that is being made. */
interface Found {
  readonly start: number
  readonly end: number
  /** How much was missing when that text was begun. */
  readonly before: number
}

/** Thrown to leave the expansion of one string; the report has the reason by then. */
const failed = Symbol('failed')

/** The expansion of one string of the configuration. */
class Expansion {
  readonly #scalar: ScalarNode
  readonly #outside: Outside
  readonly #report: Report
  readonly #texts = new Set<string>()
  /** Beside each where it is in the text that is being made: what stands in a default may turn out to be of no use. */
  #missing: { at: number; readonly missing: Missing }[] = []
  #steps = 0
  /** The reference being followed, as it stands in the source. */
  #place: Place

  constructor(scalar: ScalarNode, outside: Outside, report: Report) {
    this.#scalar = scalar
    this.#outside = outside
    this.#report = report
    this.#place = scalar.place
  }

  run(text: string): Node {
    try {
      return this.#withOrigin(this.#text(text, []), true)
    } catch (error) {
      if (error !== failed) throw error
      return { kind: 'scalar', value: null, place: this.#scalar.place, broken: true }
    }
  }

  /** Says of a value, and of all that is in it, where it came from. */
  #withOrigin(node: Node, whole: boolean): Node {
    const missing = this.#missing.map(one => one.missing)
    if (this.#texts.size === 0 && missing.length === 0) return node
    const origin = { written: String(this.#scalar.value), texts: [...this.#texts], missing, whole }
    if (node.kind === 'scalar') return { ...node, origin }
    const inner = (value: Node) => this.#withOrigin(value, false)
    if (node.kind === 'list') return { ...node, origin, items: node.items.map(inner) }
    const entries = [...node.entries].map(([key, entry]) => [key, { ...entry, value: inner(entry.value) }] as const)
    return { ...node, origin, entries: new Map(entries) }
  }

  /** A text that is one reference becomes whatever that refers to; references inside a text are spliced in. */
  #text(text: string, chain: readonly string[]): Node {
    let spliced = text
    const before = this.#missing.length
    for (;;) {
      const found = findReference(spliced)
      if (found === undefined) return { kind: 'scalar', value: spliced, place: this.#scalar.place }
      const uri = spliced.slice(found.start + 2, found.end - 1)
      if (chain.length === 0) this.#place = this.#placeOf(`\${${uri}}`)
      if (++this.#steps > limits.referencesOfValue)
        this.#fail(`more than ${limits.referencesOfValue} references have to be followed here`)
      if (chain.includes(uri)) {
        const circle = [...chain.slice(chain.indexOf(uri)), uri].map(one => this.#told(one)).join(' -> ')
        this.#fail(`too many recursive expansions: the reference leads back to itself: ${circle}`)
      }
      const text = this.#retrieve(uri, { ...found, before })
      const missing = this.#missing.length
      const inner = [...chain, uri]
      if (found.start === 0 && found.end === spliced.length) {
        // An empty default is an empty text, where an empty variable is null.
        if (uri.endsWith(':-') && text === '') return { kind: 'scalar', value: '', place: this.#place }
        return this.#value(text, inner)
      }
      spliced = spliced.slice(0, found.start) + this.#spliced(text, inner) + spliced.slice(found.end)
      for (const one of this.#missing.slice(missing)) one.at = found.start
      if (spliced.length > limits.reference) this.#fail('the references here unfold to too much text')
    }
  }

  /** What a whole value becomes, with its original text for fields that take texts. */
  #value(text: string, chain: readonly string[]): Node {
    const place = this.#place
    const fragment = readFragment(text, place)
    const isText = fragment === undefined || (fragment.kind === 'scalar' && typeof fragment.value === 'string')
    if (isText) {
      const found = findReference(text)
      if (found !== undefined) return { ...this.#text(text, chain), place }
      return { kind: 'scalar', value: text, place }
    }
    const value = eachScalar(fragment, scalar =>
      typeof scalar.value === 'string' ? { ...this.#text(scalar.value, chain), place } : scalar,
    )
    return { ...value, text: this.#rawText(text, chain) }
  }

  /** The raw text with its own references replaced, if they can be: a comment in it may hold anything. */
  #rawText(text: string, chain: readonly string[]): string | undefined {
    if (findReference(text) === undefined) return text
    const attempt = new Expansion(this.#scalar, this.#outside, new Report())
    try {
      return attempt.#spliced(text, chain)
    } catch (error) {
      if (error !== failed) throw error
      return undefined
    }
  }

  /** What a reference inside a longer text becomes. */
  #spliced(text: string, chain: readonly string[]): string {
    if (findReference(text) === undefined) return text
    const node = this.#text(text, chain)
    if (node.text !== undefined) return node.text
    return node.kind === 'scalar' ? String(node.value ?? '') : this.#fail('a section or list cannot be part of a text')
  }

  /** A reference, or all of the value where the reference came from outside itself. */
  #told(uri: string): string {
    const reference = `\${${uri}}`
    const written = String(this.#scalar.value)
    return written.includes(reference) ? reference : written
  }

  /** The text that a reference names, which stands at `found` in the text that is being made. */
  #retrieve(uri: string, found: Found): string {
    const { scheme = 'env', rest } = splitUri(uri)
    const written = this.#told(uri)
    const isWritten = written === `\${${uri}}`
    if (rest.includes('$'))
      this.#fail(`\`${written}\` has a \`$\` in it, which a reference must not`, 'write `$${` for a literal `${`')
    switch (scheme) {
      case 'env':
        return this.#variable(rest, isWritten, found)
      case 'file':
        return this.#file(rest, isWritten, found.start)
      case 'yaml':
        return rest
      default: {
        if (!isWritten) return this.#fail(`\`${written}\`: a reference in it has a scheme that is not supported`)
        const { message, hint } = schemeFault(scheme)
        const isDefault = rest.startsWith('-') && variableName.test(scheme)
        return this.#fail(
          `\`${written}\`: ${message}`,
          isDefault ? `for a default write \`\${env:${uri}}\`` : `${hint}; for a literal \`\${\` write \`$\${\``,
        )
      }
    }
  }

  #variable(rest: string, isWritten: boolean, found: Found): string {
    const at = rest.indexOf(':-')
    const name = at < 0 ? rest : rest.slice(0, at)
    const what = isWritten ? `environment variable \`${name}\`` : `environment variable that ${this.#here} leads to`
    if (!variableName.test(name))
      this.#fail(`${what} has invalid name: must match regex ${variableName.source}`, 'for a literal `${` write `$${`')
    const value = this.#outside.env[name]
    if (value === undefined && at >= 0) return rest.slice(at + 2)
    // What the default is made of is of no matter.
    const isElsewhere = (one: { at: number }, i: number) =>
      i < found.before || one.at < found.start || one.at >= found.end
    if (at >= 0) this.#missing = this.#missing.filter(isElsewhere)
    if (value) return this.#bring(value)
    const hint = isWritten ? `set it, or give a default: \`\${env:${name}:-default}\`` : 'set it, or give a default'
    this.#miss(`the ${what} is ${value === undefined ? 'not set' : 'set, but empty'}`, hint, found.start)
    return ''
  }

  #file(path: string, isWritten: boolean, at: number): string {
    const what = `the file ${isWritten ? `\`${path}\`` : `that ${this.#here} leads to`}`
    const text = this.#outside.file(path)
    if (typeof text !== 'string')
      return this.#fail(`cannot read ${what}: ${isWritten ? text.message : 'it is not there, or not to be read'}`)
    if (text.trim() === '') this.#miss(`${what} is empty`, 'write the value into it', at)
    return this.#bring(text)
  }

  get #here(): string {
    return `\`${String(this.#scalar.value)}\``
  }

  #bring(text: string): string {
    const fault = this.#outside.bring(text)
    if (fault !== undefined) this.#fail(fault)
    if (text.trim() !== '') this.#texts.add(text)
    return text
  }

  #miss(what: string, hint: string, at: number): void {
    this.#missing.push({ at, missing: { place: this.#place, what, hint } })
  }

  /** The reference in the source, or all of the text when it came from elsewhere. */
  #placeOf(written: string): Place {
    const { source, start, end } = this.#scalar.place
    const at = source.text.slice(start, end).indexOf(written)
    return at < 0 ? this.#scalar.place : { source, start: start + at, end: start + at + written.length }
  }

  #fail(message: string, hint?: string): never {
    this.#report.error('CONFIG_SOURCE', this.#place, message, hint)
    throw failed
  }
}
