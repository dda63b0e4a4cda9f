/** From what zod found wrong to what a user reads: the place in the file, the words, the nearest right word. */
import * as z from 'zod'
import { everyNode, hide, type Node, type ScalarNode } from './document.ts'
import { maskUrl } from './masking.ts'
import { withCause } from './missing.ts'
import { nearest, quoted, suggest } from './nearest.ts'
import type { Place } from './place.ts'
import { looksSecret } from './render.ts'
import type { Report } from './report.ts'
import { childOf, describedAs, holdsSecrets, inputFor, keysOf, nearestOption, schemaAt, shapeOf } from './shape.ts'
import { mayReveal } from './shown.ts'
import { alternatives, fixedTexts, kinds, plainWording, stock, wording } from './wording.ts'

type Issue = z.core.$ZodIssue
type Schema = z.core.$ZodType

/** A section that a schema checks. */
export interface Section {
  /** What the messages call it, such as `exporters::otlp/2`. */
  readonly path: string
  /** Where its key stands: the place of what is missing in it. */
  readonly key: Place
  readonly node: Node
}

/** Checks a section by its schema. Everything wrong with it goes to the report; the result is then undefined. */
export function check<T>(section: Section, schema: z.ZodType<T>, report: Report): T | undefined {
  const input = inputFor(section.node, schema)
  const isWhole = tellMissing(section.path, section.node, report)
  const parsed = parse(input, section, schema, report)
  if (parsed === undefined) return undefined
  if (parsed.success) return isWhole ? parsed.data : undefined
  new Teller(section, schema, report).tell(parsed.error.issues, [])
  return undefined
}

/** What a schema makes of it; undefined where the schema itself failed, which is told at the section it is of. */
function parse<T>(input: unknown, { path, node }: Section, schema: z.ZodType<T>, report: Report) {
  try {
    return schema.safeParse(input)
  } catch (error) {
    // Without the message, which may quote anything.
    const what = error instanceof Error ? error.name : 'an unknown error'
    const message = `${path}: its check failed with ${what}, which is a fault of Kymo's own`
    report.error('CONFIG_INVALID_VALUE', node.place, message, 'please report it, with this section but its secrets')
    return undefined
  }
}

/**
 * Values of which something is missing where there is no going on with what is left: of a secret anybody would guess it, and
 * without what decides what is dropped all might be.
 */
function tellMissing(path: string, node: Node, report: Report, decides = node.deciding === true): boolean {
  const why = node.secret ? 'this is a secret' : decides ? 'this decides what is dropped' : undefined
  if (why !== undefined && node.origin !== undefined && node.origin.missing.length > 0) {
    for (const { what, hint, place } of node.origin.missing)
      report.error('CONFIG_SOURCE', place, `${path}: ${what}, and ${why}`, hint)
    return false
  }
  let isWhole = true
  const tell = (path: string, inner: Node) => {
    if (!tellMissing(path, inner, report, decides || inner.deciding === true)) isWhole = false
  }
  if (node.kind === 'map') for (const [key, { value }] of node.entries) tell(`${path}::${key}`, value)
  else if (node.kind === 'list') for (const [i, item] of node.items.entries()) tell(`${path}[${i}]`, item)
  return isWhole
}

/** Tells an error about a value that its schema has nothing against. */
export function tellValue(
  section: Section,
  path: readonly PropertyKey[],
  message: string,
  hint: string | undefined,
  report: Report,
): void {
  new Teller(section, z.unknown(), report).sayOf(path, message, hint)
}

/** With more hidden values than this in a section, its schema's words are not compared with them: they are not told. */
const mostCompared = 1000

/** What zod may say of a value that is not there. */
const missing: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value', 'invalid_union'])

/** Puts the issues of one section into words. */
class Teller {
  readonly #section: Section
  readonly #schema: Schema
  readonly #report: Report
  /** The schema's messages that are the same for every value, once they are asked for. */
  #fixed: ReadonlySet<string> | undefined
  /** Values of the section that are not to be told, likewise. */
  #hidden: readonly string[] | undefined
  /** Keys that are there under a misspelt name. */
  readonly #meant = new Set<string>()

  constructor(section: Section, schema: Schema, report: Report) {
    this.#section = section
    this.#schema = schema
    this.#report = report
  }

  tell(issues: readonly Issue[], above: readonly PropertyKey[]): void {
    // Misspelt keys first: what they were meant to be is not missing as well.
    const rank = (issue: Issue) => Number(issue.code !== 'unrecognized_keys')
    for (const issue of issues.toSorted((a, b) => rank(a) - rank(b))) this.#tell(issue, above)
  }

  #tell(issue: Issue, above: readonly PropertyKey[]): void {
    const path = [...above, ...issue.path]
    const found = this.#find(path)
    if (found.broken) return
    if (issue.code === 'unrecognized_keys') this.#unknownKeys(issue, path)
    else if (found.depth < path.length && missing.has(issue.code)) {
      if (this.#meant.has(this.#name(path))) return
      const above = path.slice(0, -1)
      const { message, hint } = withCause(this.#find(above).node, `\`${String(path.at(-1))}\` is required`)
      this.#report.error('CONFIG_INVALID_VALUE', found.key, `${this.#name(above)}: ${message}`, hint)
    } else if (issue.code === 'invalid_union') this.#union(issue, path)
    else if (issue.code === 'invalid_value') this.#choice(path, issue.values.map(String), issue.message)
    else if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
      for (const inner of issue.issues) this.sayOf(path, wording(inner), undefined, plainWording(inner))
    } else if (issue.code === 'invalid_type') this.#type(path, issue)
    else if (stock.test(issue.message)) this.#say(path, wording(issue), undefined)
    else this.sayOf(path, issue.message, undefined, plainWording(issue))
  }

  /** The value at a path, or how far the path goes. */
  #find(path: readonly PropertyKey[]): { node: Node | undefined; key: Place; depth: number; broken: boolean } {
    let node: Node | undefined = this.#section.node
    let key = this.#section.key
    let depth = 0
    let broken = isBroken(node)
    for (const step of path) {
      const below = childOf(node, step)
      if (below === undefined) return { node: undefined, key, depth, broken }
      key = node?.kind === 'map' ? (node.entries.get(String(step))?.key ?? key) : below.place
      broken ||= isBroken(below)
      node = below
      depth++
    }
    return { node, key, depth, broken }
  }

  #name(path: readonly PropertyKey[]): string {
    const steps = path.map(step => (typeof step === 'number' ? `[${step}]` : `::${String(step)}`))
    return this.#section.path + steps.join('')
  }

  /** Whether a value is not to be told; one from outside never is, and its reference is told in its place. */
  #isSecret(path: readonly PropertyKey[]): boolean {
    const { node } = this.#find(path)
    if (node?.origin !== undefined) return true
    const schema = schemaAt(this.#schema, this.#section.node, path)
    if (node?.secret || (schema !== undefined && holdsSecrets(schema))) return true
    return path.some(step => typeof step === 'string' && looksSecret(step))
  }

  /** An error in the words of a schema or component, which may quote any value of the section. */
  sayOf(path: readonly PropertyKey[], message: string, hint: string | undefined, plain?: string): void {
    if (this.#isTellable(path, message, hint)) return this.#say(path, message, hint)
    const { node } = this.#find(path)
    const what = node?.origin?.whole === true ? `what \`${node.origin.written}\` stands for` : 'this'
    if (plain !== undefined) return this.#say(path, plain.startsWith('is ') ? `${what} ${plain}` : plain, hint)
    const description = describedAs(schemaAt(this.#schema, this.#section.node, path))
    const expected = description === undefined ? undefined : `what it is: ${description}`
    this.#say(path, `${what} cannot be taken, and is not shown because it may be a secret`, expected)
  }

  /** Whether words are the same for every value, or at least have nothing of those that are hidden here. */
  #isTellable(path: readonly PropertyKey[], message: string, hint = ''): boolean {
    this.#hidden ??= [...hiddenIn(this.#section.node)]
    const all = this.#hidden
    if (all.length === 0) return true
    this.#fixed ??= fixedTexts(this.#schema)
    if (this.#fixed.has(message) && hint === '') return true
    if (all.length > mostCompared) return false
    const text = `${message} ${hint}`
    const here = path.length === 0 ? all : [...hiddenIn(this.#find(path).node)]
    return !here.some(value => mayReveal(text, value)) && !all.some(value => mayReveal(text, value, 6))
  }

  /** An error about a value, in words that quote none. */
  #say(path: readonly PropertyKey[], message: string, hint: string | undefined): void {
    const { node, key, depth } = this.#find(path)
    const place = node !== undefined && depth === path.length && node.place.end > node.place.start ? node.place : key
    const told = withCause(node, message, hint)
    this.#report.error('CONFIG_INVALID_VALUE', place, `${this.#name(path)}: ${told.message}`, told.hint)
  }

  #unknownKeys({ keys }: z.core.$ZodIssueUnrecognizedKeys, path: readonly PropertyKey[]): void {
    const { node, key: around } = this.#find(path)
    const known = keysOf(schemaAt(this.#schema, this.#section.node, path), node)
    for (const key of keys) {
      const entry = node?.kind === 'map' ? node.entries.get(key) : undefined
      const message = `${this.#name(path)}: unknown key \`${key}\``
      if (this.#report.isFull) {
        if (entry !== undefined) hide(entry.value)
        this.#report.error('CONFIG_UNKNOWN_KEY', entry?.key ?? around, message)
        continue
      }
      const otherwise = known.length === 0 ? 'this section takes no keys' : `known keys: ${quoted(known)}`
      const meant = nearest(key, known)
      if (meant !== undefined) this.#meant.add(this.#name([...path, meant]))
      // Where it is not known what was meant, it may be one of the secrets here.
      const maybe = meant === undefined ? known : [meant]
      if (entry !== undefined && maybe.some(other => this.#isSecret([...path, other]))) hide(entry.value)
      this.#report.error('CONFIG_UNKNOWN_KEY', entry?.key ?? around, message, suggest(key, known, otherwise))
    }
  }

  #choice(path: readonly PropertyKey[], values: readonly string[], message: string): void {
    const { node } = this.#find(path)
    if (!stock.test(message)) return this.sayOf(path, message, undefined)
    const isSecret = this.#isSecret(path)
    const given = node?.kind === 'scalar' ? (node.text ?? String(node.value ?? '')) : ''
    const named = values.filter(value => value !== '')
    const one = named.length === 1 ? `expected ${quoted(named)}` : `expected one of ${quoted(named)}`
    const hint = values.includes(given) ? `put it in quotes: \`"${given}"\`` : suggest(given, values)
    this.#say(path, `${one}, got ${this.#got(path)}`, isSecret ? undefined : hint)
  }

  #type(path: readonly PropertyKey[], issue: z.core.$ZodIssueInvalidType): void {
    const { node } = this.#find(path)
    const expected = String(issue.expected)
    const wanted = stock.test(issue.message) ? `expected ${kinds[expected] ?? expected}` : issue.message
    this.#say(path, `${wanted}, got ${this.#got(path)}`, hintFor(expected, node, this.#isSecret(path)))
  }

  /** What was given, in words. */
  #got(path: readonly PropertyKey[]): string {
    const { node } = this.#find(path)
    if (node === undefined) return 'nothing'
    if (node.origin?.whole) return gotFrom(node, node.origin.written)
    if (node.kind === 'map') return 'a section'
    if (node.kind === 'list') return 'a list'
    if (node.value === null) return 'nothing'
    const kind = typeof node.value === 'string' ? 'the text' : isNumber(node) ? 'the number' : 'the value'
    if (this.#isSecret(path)) return kind.replace('the', 'a')
    const text = String(node.value)
    return `${kind} \`${maskUrl(text.length > 60 ? `${text.slice(0, 60)}…` : text)}\``
  }

  /** Of the ways a value could have been right, the one it is nearest to; if it is near none, all of them. */
  #union(issue: z.core.$ZodIssueInvalidUnion, path: readonly PropertyKey[]): void {
    const inner = this.#nearestErrors(issue, path)
    if (inner !== undefined) {
      this.tell(inner, path)
      return
    }
    const got = this.#got(path)
    if (stock.test(issue.message)) {
      if ('options' in issue && Array.isArray(issue.options))
        this.#choice(path, issue.options.map(String), issue.message)
      else this.#say(path, `expected ${alternatives(issue)}, got ${got}`, undefined)
      return
    }
    const number = issue.errors.some(([first]) => first?.code === 'invalid_type' && first.expected === 'number')
    const hint = number ? hintFor('number', this.#find(path).node, this.#isSecret(path)) : undefined
    if (!this.#isTellable(path, issue.message)) return this.sayOf(path, issue.message, hint)
    this.#say(path, issue.message.startsWith('expected') ? `${issue.message}, got ${got}` : issue.message, hint)
  }

  /** What the option that was probably meant has against the value; undefined when its very kind is wrong. */
  #nearestErrors(issue: z.core.$ZodIssueInvalidUnion, path: readonly PropertyKey[]): readonly Issue[] | undefined {
    const { node } = this.#find(path)
    const schema = schemaAt(this.#schema, this.#section.node, path)
    if (node === undefined || schema === undefined) return undefined
    const { def } = shapeOf(schema).schema._zod
    if (def.type !== 'union') return undefined
    const option = nearestOption(def.options, node)
    const errors = option === undefined ? undefined : issue.errors[def.options.indexOf(option)]
    return errors?.some(({ code, path }) => path.length === 0 && code === 'invalid_type') ? undefined : errors
  }
}

/** Could not be read, or something is missing that must not be: that has been told. */
const isBroken = (node: Node) =>
  node.broken === true ||
  ((node.secret === true || node.deciding === true) && node.origin !== undefined && node.origin.missing.length > 0)

const isNumber = ({ value }: ScalarNode) => typeof value === 'number' || typeof value === 'bigint'

/** What is given by a reference, in words. */
function gotFrom(node: Node, written: string): string {
  if (node.kind !== 'scalar') return `\`${written}\`, which stands for a ${node.kind === 'map' ? 'section' : 'list'}`
  if (node.value !== null) {
    const kind = typeof node.value === 'string' ? 'text' : isNumber(node) ? 'number' : 'truth value'
    return `\`${written}\`, which stands for a ${kind}`
  }
  const [missing] = node.origin?.missing ?? []
  return missing === undefined ? `nothing from \`${written}\`` : `nothing: ${missing.what}`
}

/** The values in a node that are not to be told. */
function* hiddenIn(node: Node | undefined): Generator<string> {
  for (const inner of everyNode(node)) {
    const isHidden = inner.secret === true || inner.origin !== undefined
    if (!isHidden || inner.kind !== 'scalar' || inner.value === null) continue
    yield String(inner.value)
    if (inner.text !== undefined) yield inner.text
    if (inner.origin?.whole === true) yield* inner.origin.texts
  }
}

/** How to make the value what it should be, where one more character does it. */
function hintFor(expected: string, node: Node | undefined, secret: boolean): string | undefined {
  if (node?.kind !== 'scalar' || secret) return undefined
  const { value } = node
  if (expected === 'string' && value !== null) return `put it in quotes: \`"${node.text ?? value}"\``
  if (expected === 'boolean' && typeof value === 'string') {
    if (/^(?:yes|on|y|t|1|true)$/i.test(value)) return 'write `true`, without quotes'
    if (/^(?:no|off|n|f|0|false)$/i.test(value)) return 'write `false`, without quotes'
  }
  if (expected === 'number' && typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
    return `write \`${value.trim()}\` without quotes`
  if (expected === 'array') return 'write it as a list: `[a, b]`'
  return undefined
}
