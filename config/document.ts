/** A YAML document as a tree in which every value knows where it stands. */
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  Parser,
  type ScalarTag,
  type YAMLParseError,
} from 'yaml'
import * as Yaml from 'yaml'
import { limits } from './limits.ts'
import { type Place, positionOf, type SourceText } from './place.ts'
import { Report } from './report.ts'

/** A reference that brings nothing, and has no default. */
export interface Missing {
  /** Where it stands. */
  readonly place: Place
  /** What is missing, such as: the environment variable `X` is not set. */
  readonly what: string
  readonly hint: string
}

/** Where a value came from that does not stand in the configuration: told in its place, because it may be a secret. */
export interface ValueOrigin {
  /** The value as it is written, with its references. */
  readonly written: string
  /** What the references brought; nothing where a default was taken. */
  readonly texts: readonly string[]
  readonly missing: readonly Missing[]
  /** Whether the node is all of the value, and not something in it. */
  readonly whole: boolean
}

interface Base {
  /** Where the value stands; what came out of a reference stands where the reference does. */
  readonly place: Place
  /** What came out of a reference, as it was before YAML gave it a type. Fields that take a text get this. */
  readonly text?: string | undefined
  /** Set when it came from a variable or a file. */
  readonly origin?: ValueOrigin | undefined
  /** Could not be read; the report says why, and nothing more is to be said of it. */
  readonly broken?: boolean
  /** A schema says that this is not to be shown. */
  secret?: boolean
  /** A schema says that this decides what is dropped. */
  deciding?: boolean
}

export interface ScalarNode extends Base {
  readonly kind: 'scalar'
  /** A whole number of 64 bits that a double does not hold exactly is a bigint. */
  readonly value: string | number | bigint | boolean | null
}

export interface ListNode extends Base {
  readonly kind: 'list'
  readonly items: readonly Node[]
}

export interface MapNode extends Base {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, MapEntry>
}

/** One key of a map and its value. */
export interface MapEntry {
  readonly key: Place
  readonly value: Node
}

export type Node = ScalarNode | ListNode | MapNode

/** Whether a value is null: a key with nothing behind it. */
export const isNull = (node: Node): boolean => node.kind === 'scalar' && node.value === null

/** Whole numbers as the Collector's YAML has them: 0123 is octal, 1_000 and 0b11 are numbers. */
const integers: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^[-+]?(?:0[0-7_]+|0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|(?:0|[1-9][0-9_]*))$/,
  resolve: text => {
    const digits = text.replaceAll('_', '').replace(/^\+/, '')
    const negative = digits.startsWith('-')
    const bare = negative ? digits.slice(1) : digits
    const literal = /^0[0-7]+$/.test(bare) ? `0o${bare.slice(1)}` : bare
    const value = Number(literal)
    // Whole numbers of 64 bits keep every digit; what is longer is as near as a double comes, as in the Collector.
    if (value > Number.MAX_SAFE_INTEGER && value <= 2 ** 64) return negative ? -BigInt(literal) : BigInt(literal)
    return negative ? -value : value
  },
}

/** Doubles beyond what counts one by one are written with an exponent: with all digits they would be read as whole numbers. */
const largeDoubles: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  test: /^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$/,
  identify: value => Number.isInteger(value) && !Number.isSafeInteger(value),
  resolve: Number,
  stringify: ({ value }) => Number(value).toExponential(),
}

/** Sections are nested deeper than may be. */
const tooDeep = `more than ${limits.depth} sections are in one another here`

/** How plain words become values; what is written must be read as the same. */
const dialect = {
  // Also wins over a %YAML directive, which would bring back `yes` as a truth value.
  schema: 'core',
  customTags: (tags: Yaml.Tags) => [integers, largeDoubles, ...tags],
} as const

/** The documents of a text; one at least if there is anything wrong with it. */
function parseAll(text: string): readonly Document.Parsed[] {
  const composer = new Composer({
    ...dialect,
    merge: true,
    prettyErrors: false,
    // The library compares each key with all before it; the tree finds what stands twice by looking it up.
    uniqueKeys: false,
    logLevel: 'silent',
  })
  return [...composer.compose(boundedTokens(text), true)] as Document.Parsed[]
}

/** What the library makes documents of, as far as a text may go: it would build all of one before anybody could count what is in it. */
function* boundedTokens(text: string): Generator<CST.Token, void> {
  const parser = new Parser()
  let lexemes = 0
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme)
    const message =
      // One for the document, and one for what a pair begins with.
      parser.stack.length > limits.depth + 2
        ? tooDeep
        : ++lexemes > limits.lexemes
          ? `there are more than ${limits.lexemes} words and marks here`
          : undefined
    if (message !== undefined) return yield { type: 'error', offset: parser.offset, message, source: '' }
  }
  yield* parser.end()
}

/**
 * The tree of a source's first document; undefined when it is empty or, as the report then tells, not YAML. The Collector reads
 * no further in a file; here whoever has written more is told.
 */
export function readDocument(source: SourceText, report: Report): Node | undefined {
  const [document, ...more] = parseAll(source.text)
  const unread = more.find(
    ({ contents, errors }) => errors.length > 0 || !(isScalar(contents) && contents.value === null),
  )
  if (unread !== undefined) {
    // At the line that parts them: those behind it may hold secrets that no schema names.
    const begins = unread.contents?.range[0] ?? unread.range[0]
    const start = Math.max(0, source.text.lastIndexOf('---', begins))
    const message = 'a second document begins here, and is not read: a source is one document, as in the Collector'
    const hint = 'put it into a file of its own, and name that with another `--config`'
    report.warn('CONFIG_SYNTAX', { source, start, end: start + 3 }, message, hint)
  }
  return document === undefined ? undefined : treeOf(document, source, report)
}

/** The trees of all documents of a source, which `---` separates; those that are empty or not YAML are missing. */
export function readDocuments(source: SourceText, report: Report): Node[] {
  return parseAll(source.text).flatMap(document => treeOf(document, source, report) ?? [])
}

function treeOf(document: Document.Parsed, source: SourceText, report: Report): Node | undefined {
  tellSyntax(document.errors, source, report)
  for (const { message, pos } of document.warnings)
    report.warn('CONFIG_SYNTAX', { source, start: pos[0], end: pos[1] }, inLowerCase(message))
  if (document.errors.length > 0) return undefined
  return new TreeMaker(document, report, range => ({ source, start: range[0], end: range[1] })).make()
}

/** Tells the faults of the YAML, one for each line, up to where the parser lost its way: what follows is noise. */
function tellSyntax(errors: readonly YAMLParseError[], source: SourceText, report: Report): void {
  const lines = new Set<number>()
  for (const { code, message, pos } of errors.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const place = { source, start: pos[0], end: pos[1] }
    const { line } = positionOf(place)
    if (lines.has(line)) continue
    lines.add(line)
    // Without the text of the token, which may be a secret.
    const what = message.replace(/ token in YAML stream: .*$/s, ' in this place')
    report.error('CONFIG_SYNTAX', place, inLowerCase(what), hintAt(source.text, pos[0]))
    if (code === 'UNEXPECTED_TOKEN') return
  }
}

/** The tree of a text that was referred to at `place`; undefined when the text is no YAML. */
export function readFragment(text: string, place: Place): Node | undefined {
  const [document] = parseAll(text)
  if (document === undefined) return { kind: 'scalar', value: null, place }
  if (document.errors.length > 0) return undefined
  const attempt = new Report()
  const made = new TreeMaker(document, attempt, () => place).make()
  return attempt.failed ? undefined : (made ?? { kind: 'scalar', value: null, place })
}

/** What is likely to have been meant where the YAML stops being YAML. */
function hintAt(text: string, at: number): string | undefined {
  if (text[at] === '{' && text[at - 1] === '$')
    return 'inside `{}` or `[]` put the reference in quotes: `"${env:NAME}"`'
  return text[at] === '\t' ? 'indent with spaces' : undefined
}

const inLowerCase = (message: string) => message.charAt(0).toLowerCase() + message.slice(1)

type Range = readonly [number, number, ...unknown[]]

/** Turns the nodes of the YAML library into ours. */
class TreeMaker {
  readonly #document: Document.Parsed
  readonly #report: Report
  readonly #place: (range: Range) => Place
  /** Anchors being followed: one that contains itself has no end. */
  readonly #following = new Set<unknown>()
  /** What each name stands for so far, and each alias: the library would go through the whole document for every one. */
  readonly #anchors = new Map<string, unknown>()
  readonly #targets = new Map<Yaml.Alias, unknown>()
  #depth = 0
  #values = 0
  /** Those of them that are made because an alias names them. */
  #unfolded = 0

  constructor(document: Document.Parsed, report: Report, place: (range: Range) => Place) {
    this.#document = document
    this.#report = report
    this.#place = place
  }

  make(): Node | undefined {
    const { contents } = this.#document
    if (contents === null) return undefined
    const made = this.#node(contents, contents.range)
    if (this.#values <= limits.values && this.#unfolded <= limits.unfolded) return made
    const message =
      this.#values - this.#unfolded > limits.values
        ? `there are more than ${limits.values} values here`
        : 'the aliases of this document unfold to too many values'
    this.#report.error('CONFIG_SYNTAX', this.#place(contents.range ?? [0, 0]), message)
    return undefined
  }

  #node(node: unknown, around: Range | null | undefined): Node {
    const range = rangeOf(node) ?? around ?? [0, 0]
    const place = this.#place(range)
    if (this.#following.size > 0) this.#unfolded++
    if (++this.#values > limits.values || this.#unfolded > limits.unfolded || this.#depth >= limits.depth)
      return this.#cut(place)
    this.#note(node)
    this.#depth++
    const made = this.#whole(node, range, place)
    this.#depth--
    return made
  }

  /** Stands for what is too much. */
  #cut(place: Place): Node {
    if (this.#depth >= limits.depth) this.#report.error('CONFIG_SYNTAX', place, tooDeep)
    return { kind: 'scalar', value: null, place, broken: true }
  }

  #whole(node: unknown, range: Range, place: Place): Node {
    if (isAlias(node)) return this.#alias(node, place)
    if (isMap(node)) return { kind: 'map', place, entries: this.#entries(node, range) }
    if (isSeq(node)) return { kind: 'list', place, items: node.items.map(item => this.#node(item, range)) }
    return { kind: 'scalar', place, value: scalarValue(node) }
  }

  /** Notes an anchor, in the order of the document. */
  #note(node: unknown): void {
    if (this.#following.size > 0 || !(isScalar(node) || isMap(node) || isSeq(node))) return
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node)
  }

  #alias(alias: Yaml.Alias, place: Place): Node {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source)
    if (this.#following.size === 0) this.#targets.set(alias, target)
    if (target === undefined || this.#following.has(target)) {
      const why = target === undefined ? 'names no anchor above it' : 'stands inside what it names'
      this.#report.error('CONFIG_SYNTAX', place, `the alias \`*${alias.source}\` ${why}`)
      return { kind: 'scalar', value: null, place, broken: true }
    }
    this.#following.add(target)
    const made = this.#node(target, undefined)
    this.#following.delete(target)
    return made
  }

  #entries(map: Yaml.YAMLMap, around: Range): Map<string, MapEntry> {
    const entries = new Map<string, MapEntry>()
    const merged: Node[] = []
    for (const { key, value } of map.items) {
      const range = rangeOf(key) ?? around
      const place = this.#place(range)
      this.#note(key)
      if (isMerge(key)) merged.push(this.#node(value, range))
      else if (isMap(key) || isSeq(key)) this.#report.error('CONFIG_SYNTAX', place, 'a key must be a single word')
      else {
        const name = keyText(key)
        const entry = { key: place, value: this.#node(value, range) }
        if (entries.has(name))
          this.#report.error('CONFIG_SYNTAX', place, `the key \`${name}\` stands twice in one section`)
        else entries.set(name, entry)
      }
    }
    for (const source of merged) this.#merge(entries, source)
    return entries
  }

  /** Adds what `<<` names; what stands beside it wins, and of several the first. */
  #merge(entries: Map<string, MapEntry>, source: Node): void {
    if (source.kind === 'list') for (const item of source.items) this.#merge(entries, item)
    else if (source.kind === 'map') {
      for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry)
    } else if (!source.broken)
      this.#report.error('CONFIG_SYNTAX', source.place, '`<<` takes a section, or a list of them')
  }
}

function rangeOf(node: unknown): Range | null | undefined {
  return Yaml.isNode(node) ? node.range : undefined
}

function isMerge(key: unknown): boolean {
  return isScalar(key) && (typeof key.value === 'symbol' || (key.value === '<<' && key.type === 'PLAIN'))
}

function keyText(key: unknown): string {
  if (isAlias(key)) return key.source
  if (!isScalar(key)) return ''
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

function scalarValue(node: unknown): ScalarNode['value'] {
  const value: unknown = isScalar(node) ? node.value : null
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
  if (isPlain || typeof value === 'boolean') return value
  return value === null || value === undefined ? null : isScalar(node) && node.source ? node.source : null
}

/** The values without their places; `single` says what a single value is, if it is not itself. */
export function plainOf(node: Node | undefined, single?: (node: ScalarNode) => unknown): unknown {
  if (node === undefined) return undefined
  if (node.kind === 'list') return node.items.map(item => plainOf(item, single))
  if (node.kind === 'map')
    return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, plainOf(value, single)]))
  return single === undefined ? node.value : single(node)
}

/** Keeps a value, and all that is in it, from being shown. */
export function hide(node: Node): void {
  for (const inner of everyNode(node)) inner.secret = true
}

/** Every value of a tree, from the outside in. */
export function* everyNode(node: Node | undefined): Generator<Node> {
  if (node === undefined) return
  yield node
  if (node.kind === 'list') for (const item of node.items) yield* everyNode(item)
  if (node.kind === 'map') for (const { value } of node.entries.values()) yield* everyNode(value)
}

/** A tree as YAML; `remark` may say something behind each value that has no more values in it. */
export function yamlOf(value: unknown, remark?: (path: readonly PropertyKey[]) => string | undefined): string {
  const document = new Yaml.Document(value, dialect)
  if (remark !== undefined) {
    Yaml.visit(document, {
      Node(key, node, path) {
        const isEnd = isScalar(node) ? key !== 'key' : Yaml.isCollection(node) && node.items.length === 0
        const text = isEnd ? remark(pathOf(key, path)) : undefined
        if (text !== undefined) node.comment = ` ${text}`
      },
    })
  }
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false })
  // The library puts what is empty and has a comment on lines of its own.
  return remark === undefined ? text : text.replaceAll(/:\n +(\[\]|\{\})\n +(#[^\n]*)$/gm, ': $1 $2')
}

/** The keys and indices that lead to a value in the YAML library's tree. */
function pathOf(key: unknown, around: readonly unknown[]): PropertyKey[] {
  const path: PropertyKey[] = []
  around.forEach((outer, i) => {
    const next = around[i + 1] ?? key
    if (Yaml.isPair(outer)) path.push(keyText(outer.key))
    else if (isSeq(outer)) path.push(typeof next === 'number' ? next : outer.items.indexOf(next))
  })
  return path
}
