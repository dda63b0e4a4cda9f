/** From what zod found wrong to what a user reads: the place in the file, the words, the nearest right word. */
import * as z from 'zod'
import { hide, type Node } from './document.ts'
import { nearest, quoted, suggest } from './nearest.ts'
import type { Place } from './place.ts'
import { looksSecret } from './render.ts'
import type { Report } from './report.ts'
import { childOf, holdsSecrets, inputFor, keysOf, nearestOption, schemaAt, shapeOf } from './shape.ts'

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
  const parsed = schema.safeParse(inputFor(section.node, schema))
  if (parsed.success) return parsed.data
  new Teller(section, schema, report).tell(parsed.error.issues, [])
  return undefined
}

/** Tells an error about a value that its schema has nothing against. */
export function tellValue(
  section: Section,
  path: readonly PropertyKey[],
  message: string,
  hint: string | undefined,
  report: Report,
): void {
  new Teller(section, z.unknown(), report).say(path, message, hint)
}

/** What zod says when the schema has no words of its own. */
const stock = /^(?:Invalid |Unrecognized |Too (?:small|big))/

/** What zod may say of a value that is not there. */
const missing: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value', 'invalid_union'])

const kinds: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
  object: 'a section',
  record: 'a section',
  array: 'a list',
  tuple: 'a list',
  null: 'nothing',
}

/** Puts the issues of one section into words. */
class Teller {
  readonly #section: Section
  readonly #schema: Schema
  readonly #report: Report
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
      const name = `\`${String(path.at(-1))}\``
      this.#report.error('CONFIG_INVALID_VALUE', found.key, `${this.#name(path.slice(0, -1))}: ${name} is required`)
    } else if (issue.code === 'invalid_union') this.#union(issue, path)
    else if (issue.code === 'invalid_value') this.#choice(path, issue.values.map(String), issue.message)
    else if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
      for (const inner of issue.issues) this.say(path, wording(inner), undefined)
    } else if (issue.code === 'invalid_type') this.#type(path, issue)
    else this.say(path, wording(issue), undefined)
  }

  /** The value at a path, or how far the path goes. */
  #find(path: readonly PropertyKey[]): { node: Node | undefined; key: Place; depth: number; broken: boolean } {
    let node: Node | undefined = this.#section.node
    let key = this.#section.key
    let depth = 0
    let broken = node.broken === true
    for (const step of path) {
      const below = childOf(node, step)
      if (below === undefined) return { node: undefined, key, depth, broken }
      key = node?.kind === 'map' ? (node.entries.get(String(step))?.key ?? key) : below.place
      broken ||= below.broken === true
      node = below
      depth++
    }
    return { node, key, depth, broken }
  }

  #name(path: readonly PropertyKey[]): string {
    const steps = path.map(step => (typeof step === 'number' ? `[${step}]` : `::${String(step)}`))
    return this.#section.path + steps.join('')
  }

  #isSecret(path: readonly PropertyKey[]): boolean {
    const { node } = this.#find(path)
    const schema = schemaAt(this.#schema, this.#section.node, path)
    if (node?.secret || (schema !== undefined && holdsSecrets(schema))) return true
    return path.some(step => typeof step === 'string' && looksSecret(step))
  }

  /** An error about a value. */
  say(path: readonly PropertyKey[], message: string, hint: string | undefined): void {
    const { node, key, depth } = this.#find(path)
    const place = node !== undefined && depth === path.length && node.place.end > node.place.start ? node.place : key
    this.#report.error('CONFIG_INVALID_VALUE', place, `${this.#name(path)}: ${message}`, hint)
  }

  #unknownKeys({ keys }: z.core.$ZodIssueUnrecognizedKeys, path: readonly PropertyKey[]): void {
    const { node, key: around } = this.#find(path)
    const known = keysOf(schemaAt(this.#schema, this.#section.node, path), node)
    for (const key of keys) {
      const entry = node?.kind === 'map' ? node.entries.get(key) : undefined
      const otherwise = known.length === 0 ? 'this section takes no keys' : `known keys: ${quoted(known)}`
      const meant = nearest(key, known)
      if (meant !== undefined) this.#meant.add(this.#name([...path, meant]))
      // Where it is not known what was meant, it may be one of the secrets here.
      const maybe = meant === undefined ? known : [meant]
      if (entry !== undefined && maybe.some(other => this.#isSecret([...path, other]))) hide(entry.value)
      const message = `${this.#name(path)}: unknown key \`${key}\``
      this.#report.error('CONFIG_UNKNOWN_KEY', entry?.key ?? around, message, suggest(key, known, otherwise))
    }
  }

  #choice(path: readonly PropertyKey[], values: readonly string[], message: string): void {
    const { node } = this.#find(path)
    if (!stock.test(message)) return this.say(path, message, undefined)
    const given = node?.kind === 'scalar' ? (node.text ?? String(node.value ?? '')) : ''
    const named = values.filter(value => value !== '')
    const one = named.length === 1 ? `expected ${quoted(named)}` : `expected one of ${quoted(named)}`
    const hint = values.includes(given) ? `put it in quotes: \`"${given}"\`` : suggest(given, values)
    this.say(path, `${one}, got ${this.#got(path)}`, hint)
  }

  #type(path: readonly PropertyKey[], issue: z.core.$ZodIssueInvalidType): void {
    const { node } = this.#find(path)
    const expected = String(issue.expected)
    const wanted = stock.test(issue.message) ? `expected ${kinds[expected] ?? expected}` : issue.message
    this.say(path, `${wanted}, got ${this.#got(path)}`, hintFor(expected, node, this.#isSecret(path)))
  }

  /** What was given, in words. */
  #got(path: readonly PropertyKey[]): string {
    const { node } = this.#find(path)
    if (node === undefined) return 'nothing'
    if (node.kind === 'map') return 'a section'
    if (node.kind === 'list') return 'a list'
    if (node.value === null) return 'nothing'
    const kind =
      typeof node.value === 'string' ? 'the text' : typeof node.value === 'number' ? 'the number' : 'the value'
    if (this.#isSecret(path)) return kind.replace('the', 'a')
    const text = String(node.value)
    return `${kind} \`${text.length > 60 ? `${text.slice(0, 60)}…` : text}\``
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
      else this.say(path, `expected ${alternatives(issue)}, got ${got}`, undefined)
      return
    }
    const number = issue.errors.some(([first]) => first?.code === 'invalid_type' && first.expected === 'number')
    const hint = number ? hintFor('number', this.#find(path).node, this.#isSecret(path)) : undefined
    this.say(path, issue.message.startsWith('expected') ? `${issue.message}, got ${got}` : issue.message, hint)
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

/** All that a value could have been. */
function alternatives({ errors }: z.core.$ZodIssueInvalidUnion): string {
  const expected = new Set<string>()
  for (const [first] of errors) {
    if (first?.code === 'invalid_type') expected.add(kinds[first.expected] ?? first.expected)
    if (first?.code === 'invalid_value') for (const value of first.values) expected.add(`\`${String(value)}\``)
  }
  const all = [...expected]
  const last = all.pop() ?? 'another value'
  return all.length === 0 ? last : `${all.join(', ')} or ${last}`
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

/** The words for limits and forms; texts of the schema's own are taken as they are. */
function wording(issue: Issue): string {
  if (!stock.test(issue.message)) return issue.message
  if (issue.code === 'too_small') {
    if (issue.origin !== 'string' && issue.origin !== 'array')
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`
    return issue.minimum === 1 ? 'must not be empty' : `needs at least ${issue.minimum} ${partsOf(issue.origin)}`
  }
  if (issue.code === 'too_big') {
    if (issue.origin !== 'string' && issue.origin !== 'array')
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`
    return `must have at most ${issue.maximum} ${partsOf(issue.origin)}`
  }
  if (issue.code === 'invalid_format')
    return issue.format === 'regex' ? `must match \`${issue.pattern}\`` : `is no valid ${issue.format}`
  if (issue.code === 'invalid_type') return `expected ${kinds[issue.expected] ?? issue.expected}`
  if (issue.code === 'not_multiple_of') return `must be a multiple of ${issue.divisor}`
  if (issue.code === 'invalid_value') return `expected one of ${quoted(issue.values.map(String))}`
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
}

const partsOf = (origin: string) => (origin === 'string' ? 'characters' : 'entries')
