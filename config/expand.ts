/** References in values: `${env:NAME}`, `${env:NAME:-default}`, `${file:path}`, `${yaml:text}`, nested and escaped. */
import { type Entry, type MapNode, type Node, readFragment, type ScalarNode } from './document.ts'
import type { Place } from './place.ts'
import { Report } from './report.ts'
import { type ReadFile, readFailure, readText, schemeFault, splitUri, variableName } from './sources.ts'

/** What one string may take; the Collector's bound. */
const maxSteps = 1000
const maxLength = 16 * 1024 * 1024

/** The tree with every reference replaced by what it refers to, and `$$` by `$`. */
export function expand(node: Node, env: NodeJS.ProcessEnv, report: Report, readFile: ReadFile = readText): Node {
  const files = new Files(readFile)
  return eachScalar(node, scalar => {
    if (typeof scalar.value !== 'string') return scalar
    const expansion = new Expansion(scalar, env, files, report)
    return unescape(expansion.run(scalar.value))
  })
}

/** The same for a whole configuration, whose top is a section before and after. */
export function expandSections(node: MapNode, env: NodeJS.ProcessEnv, report: Report, readFile?: ReadFile): MapNode {
  const made = expand(node, env, report, readFile)
  return made.kind === 'map' ? made : { ...node, entries: new Map() }
}

/** The tree with its scalars replaced. */
function eachScalar(node: Node, replace: (scalar: ScalarNode) => Node): Node {
  if (node.kind === 'scalar') return replace(node)
  if (node.kind === 'list') return { ...node, items: node.items.map(item => eachScalar(item, replace)) }
  const entries = new Map<string, Entry>()
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

/** The files that are referred to, each read once. */
class Files {
  readonly #readFile: ReadFile
  readonly #texts = new Map<string, string | Error>()

  constructor(readFile: ReadFile) {
    this.#readFile = readFile
  }

  /** The text, or why there is none. */
  read(path: string): string | Error {
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

/** Thrown to leave the expansion of one string; the report has the reason by then. */
const failed = Symbol('failed')

/** The expansion of one string of the configuration. */
class Expansion {
  readonly #scalar: ScalarNode
  readonly #env: NodeJS.ProcessEnv
  readonly #files: Files
  readonly #report: Report
  #steps = 0
  /** The reference being followed, as it stands in the source. */
  #place: Place

  constructor(scalar: ScalarNode, env: NodeJS.ProcessEnv, files: Files, report: Report) {
    this.#scalar = scalar
    this.#env = env
    this.#files = files
    this.#report = report
    this.#place = scalar.place
  }

  run(text: string): Node {
    try {
      return this.#text(text, [])
    } catch (error) {
      if (error !== failed) throw error
      return { kind: 'scalar', value: null, place: this.#scalar.place, broken: true }
    }
  }

  /** A text that is one reference becomes whatever that refers to; references inside a text are spliced in. */
  #text(text: string, chain: readonly string[]): Node {
    let spliced = text
    for (;;) {
      const found = findReference(spliced)
      if (found === undefined) return { kind: 'scalar', value: spliced, place: this.#scalar.place }
      const uri = spliced.slice(found.start + 2, found.end - 1)
      if (chain.length === 0) this.#place = this.#placeOf(`\${${uri}}`)
      if (++this.#steps > maxSteps) this.#fail(`more than ${maxSteps} references have to be followed here`)
      if (chain.includes(uri)) {
        const circle = [...chain.slice(chain.indexOf(uri)), uri].map(one => `\${${one}}`).join(' -> ')
        this.#fail(`too many recursive expansions: the reference leads back to itself: ${circle}`)
      }
      const text = this.#retrieve(uri)
      const inner = [...chain, uri]
      if (found.start === 0 && found.end === spliced.length) {
        // An empty default is an empty text, where an empty variable is null.
        if (uri.endsWith(':-') && text === '') return { kind: 'scalar', value: '', place: this.#place }
        return this.#value(text, inner)
      }
      spliced = spliced.slice(0, found.start) + this.#spliced(text, inner) + spliced.slice(found.end)
      if (spliced.length > maxLength) this.#fail('the references here unfold to too much text')
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
    const attempt = new Expansion(this.#scalar, this.#env, this.#files, new Report())
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

  /** The text that a reference names. */
  #retrieve(uri: string): string {
    const { scheme = 'env', rest } = splitUri(uri)
    const written = `\${${uri}}`
    if (rest.includes('$'))
      this.#fail(`\`${written}\` has a \`$\` in it, which a reference must not`, 'write `$${` for a literal `${`')
    switch (scheme) {
      case 'env':
        return this.#variable(rest)
      case 'file':
        return this.#file(rest)
      case 'yaml':
        return rest
      default: {
        const { message, hint } = schemeFault(scheme)
        const isDefault = rest.startsWith('-') && variableName.test(scheme)
        return this.#fail(
          `\`${written}\`: ${message}`,
          isDefault ? `for a default write \`\${env:${uri}}\`` : `${hint}; for a literal \`\${\` write \`$\${\``,
        )
      }
    }
  }

  #variable(rest: string): string {
    const at = rest.indexOf(':-')
    const name = at < 0 ? rest : rest.slice(0, at)
    if (!variableName.test(name)) {
      const message = `environment variable \`${name}\` has invalid name: must match regex ${variableName.source}`
      this.#fail(message, 'for a literal `${` write `$${`')
    }
    const value = this.#env[name]
    if (value !== undefined) return value
    if (at >= 0) return rest.slice(at + 2)
    const hint = `set it, or give a default: \`\${env:${name}:-default}\``
    this.#report.warn('CONFIG_SOURCE', this.#place, `the environment variable \`${name}\` is not set: empty here`, hint)
    return ''
  }

  #file(path: string): string {
    const text = this.#files.read(path)
    return typeof text === 'string' ? text : this.#fail(`cannot read the file \`${path}\`: ${text.message}`)
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
