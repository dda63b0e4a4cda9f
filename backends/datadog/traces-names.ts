/**
 * What Datadog calls a span: its operation's name, its resource, its type. The rules are those of Datadog's Agent for
 * OpenTelemetry spans ("operation and resource name logic v2"; with renamed operations, the logic before it).
 */
import type { AttributeColumns } from './traces-attributes.ts'
import { concepts, KeyTable } from './traces-keys.ts'
import { isName, isTagValue, maxResourceLength, normalName, normalTagValue } from './traces-normalise.ts'
import { CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, type SpanReader } from './traces-span.ts'
import { cutAt, putBytes, putText } from './traces-write.ts'
import type { Growing } from '../../proto/growing.ts'
import { TEXT, text } from '../../proto/values.ts'
import { sameBytes } from '../../proto/wire.ts'

/** A span together with the resource it is of, and what was looked up last. */
export class SpanFacts {
  readonly span: SpanReader
  resource: AttributeColumns
  /** Name of the instrumentation scope. */
  scope = ''
  /** By the rules before version 2 the resource's attributes come before the span's. */
  readonly earlier: boolean
  /** The text that was found. */
  bytes: Uint8Array = Buffer.alloc(0)
  start = 0
  end = 0

  constructor(span: SpanReader, resource: AttributeColumns, earlier: boolean) {
    this.span = span
    this.resource = resource
    this.earlier = earlier
  }

  /** Finds the first of these attributes that has a text, each on the span before the resource. */
  look(keys: readonly number[]): boolean {
    for (let i = 0; i < keys.length; i++) {
      if (this.#take(this.span.attributes, keys[i]) || this.#take(this.resource, keys[i])) return true
    }
    return false
  }

  /** The same for names: by the earlier rules first all of them on the resource, then all on the span. */
  lookForName(keys: readonly number[]): boolean {
    if (!this.earlier) return this.look(keys)
    return keys.some(key => this.#take(this.resource, key)) || keys.some(key => this.#take(this.span.attributes, key))
  }

  #take(attributes: AttributeColumns, key: number): boolean {
    const i = attributes.find(key)
    if (i < 0) return false
    if (attributes.kinds[i] === TEXT) {
      if (attributes.starts[i] === attributes.ends[i]) return false
      this.bytes = attributes.sources[i]
      this.start = attributes.starts[i]
      this.end = attributes.ends[i]
      return true
    }
    const other = Buffer.from(attributes.text(i))
    this.bytes = other
    this.start = 0
    this.end = other.length
    return other.length > 0
  }

  /** What was found, as a text. */
  get found(): string {
    return text(this.bytes, this.start, this.end)
  }

  /** A whole number, from a number or from a text that is one; undefined where there is none. */
  wholeNumber(keys: readonly number[]): number | undefined {
    for (const key of keys) {
      const n = numberOf(this.span.attributes, key) ?? numberOf(this.resource, key)
      if (n !== undefined) return Math.trunc(n)
      if (this.look([key])) {
        const parsed = Number(this.found)
        if (Number.isInteger(parsed) && /^[+-]?[\d.]/.test(this.found)) return parsed
      }
    }
    return undefined
  }
}

function numberOf(attributes: AttributeColumns, key: number): number | undefined {
  const i = attributes.find(key)
  return i < 0 ? undefined : attributes.number(i)
}

/** How operations are named in a way of the user's; undefined: by the rules. */
export interface OwnNames {
  /** The span's name is the operation's. */
  readonly spanName: boolean
  readonly remappings: ReadonlyMap<string, string>
}

const constant = (value: string): Buffer => Buffer.from(value)
const names = {
  httpServer: constant('http.server.request'),
  httpClient: constant('http.client.request'),
  query: constant('.query'),
  aws: constant('aws.'),
  awsApi: constant('aws-api'),
  awsClient: constant('aws.client.request'),
  request: constant('.request'),
  client: constant('.client.request'),
  server: constant('.server.request'),
  bareClient: constant('client.request'),
  bareServer: constant('server.request'),
  invoke: constant('.invoke'),
  graphql: constant('graphql.server.request'),
}
/** By kind; what is of no kind is internal. */
const kindTitles = ['Internal', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'].map(constant)

/** Names of the kinds, as in `span.kind`. */
export const kindNames: readonly string[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

const all = (out: Growing, bytes: Uint8Array): void => putBytes(out, bytes, 0, bytes.length)

/** Appends the operation's name. */
export function putName(facts: SpanFacts, own: OwnNames | undefined, out: Growing): void {
  const { at } = out
  if (own !== undefined) {
    putText(out, normalName(ownName(facts, own)))
    return
  }
  putOperation(facts, out)
  if (isName(out.bytes, at, out.at)) return
  const name = normalName(text(out.bytes, at, out.at))
  out.at = at
  putText(out, name)
}

function ownName(facts: SpanFacts, { spanName, remappings }: OwnNames): string {
  const { span } = facts
  let name: string
  if (facts.lookForName(concepts.operationName)) name = facts.found
  else if (spanName) name = text(span.bytes, span.nameStart, span.nameEnd)
  else name = `${facts.scope || 'opentelemetry'}.${kindNames[span.kind] ?? 'unspecified'}`
  return remappings.get(name) ?? name
}

/** Appends what was found as a tag value and says whether that is anything. */
function putTag({ bytes, start, end }: SpanFacts, out: Growing): boolean {
  if (isTagValue(bytes, start, end)) {
    putBytes(out, bytes, start, end)
    return true
  }
  const { at } = out
  putText(out, normalTagValue(text(bytes, start, end)))
  return out.at > at
}

/** Appends a tag value of these attributes, `middle`, and what stands behind it; false, and nothing, where there is none. */
function putJoined(facts: SpanFacts, keys: readonly number[], behind: Uint8Array, out: Growing): boolean {
  if (!facts.look(keys) || !putTag(facts, out)) return false
  all(out, behind)
  return true
}

function putOperation(facts: SpanFacts, out: Growing): void {
  const { kind } = facts.span
  if (facts.look(concepts.operationName) && putTag(facts, out)) return
  const isOneSided = kind === SERVER || kind === CLIENT
  if (isOneSided && putHttpOrDatabase(facts, kind, out)) return
  if (kind >= SERVER && kind <= CONSUMER && putMessaging(facts, out)) return
  if (isOneSided && (putRpc(facts, kind, out) || putFaas(facts, kind, out))) return
  if (facts.look(concepts.graphqlType)) all(out, names.graphql)
  else if (!isOneSided) all(out, kindTitles[kind] ?? kindTitles[INTERNAL])
  else if (!putJoined(facts, concepts.protocolName, kind === SERVER ? names.server : names.client, out)) {
    all(out, kind === SERVER ? names.bareServer : names.bareClient)
  }
}

function putHttpOrDatabase(facts: SpanFacts, kind: number, out: Growing): boolean {
  if (facts.look(concepts.httpMethod)) {
    all(out, kind === SERVER ? names.httpServer : names.httpClient)
    return true
  }
  return kind === CLIENT && putJoined(facts, concepts.dbSystem, names.query, out)
}

function putMessaging(facts: SpanFacts, out: Growing): boolean {
  return putTwo(facts, concepts.messagingSystem, concepts.messagingOperation, out)
}

/** Appends two tag values with a dot between them; nothing where one is missing. */
function putTwo(facts: SpanFacts, first: readonly number[], second: readonly number[], out: Growing): boolean {
  const { at } = out
  if (facts.look(first) && putTag(facts, out)) {
    out.ensure(1)
    out.bytes[out.at++] = 0x2e
    if (facts.look(second) && putTag(facts, out)) return true
  }
  out.at = at
  return false
}

function putRpc(facts: SpanFacts, kind: number, out: Growing): boolean {
  const { at } = out
  if (!facts.look(concepts.rpcSystem) || !putTag(facts, out)) return false
  const isAws = sameBytes(out.bytes, at, out.at - at, names.awsApi)
  if (!isAws || kind === SERVER) {
    all(out, kind === SERVER ? names.server : names.client)
    return true
  }
  out.at = at
  all(out, names.aws)
  if (!putJoined(facts, concepts.rpcService, names.request, out)) {
    out.at = at
    all(out, names.awsClient)
  }
  return true
}

function putFaas(facts: SpanFacts, kind: number, out: Growing): boolean {
  if (kind === SERVER) return putJoined(facts, concepts.faasTrigger, names.invoke, out)
  if (!putTwo(facts, concepts.faasProvider, concepts.faasName, out)) return false
  all(out, names.invoke)
  return true
}

const other = Buffer.from('_OTHER')
const http = Buffer.from('HTTP')

const putFound = ({ bytes, start, end }: SpanFacts, out: Growing): void => putBytes(out, bytes, start, end)

/** Appends the resource's name, cut where it is too long. It may be empty. */
export function putResource(facts: SpanFacts, out: Growing): void {
  const { at } = out
  const { span } = facts
  if (!putRuledResource(facts, out)) putBytes(out, span.bytes, span.nameStart, span.nameEnd)
  if (out.at - at > maxResourceLength) out.at = cutAt(out.bytes, at, maxResourceLength)
}

/** Appends the first, and the second behind a space where there is one; false where the first is missing. */
function putPair(facts: SpanFacts, first: readonly number[], second: readonly number[], out: Growing): boolean {
  if (!facts.lookForName(first)) return false
  putFound(facts, out)
  putMore(facts, second, out)
  return true
}

function putMore(facts: SpanFacts, keys: readonly number[], out: Growing): void {
  if (!facts.lookForName(keys)) return
  out.ensure(1)
  out.bytes[out.at++] = 0x20
  putFound(facts, out)
}

function putRuledResource(facts: SpanFacts, out: Growing): boolean {
  if (facts.lookForName(concepts.resourceName)) {
    putFound(facts, out)
    return true
  }
  if (facts.lookForName(concepts.httpMethod)) {
    putHttp(facts, out)
    return true
  }
  if (putPair(facts, concepts.messagingOperation, concepts.messagingDestination, out)) return true
  if (putPair(facts, concepts.rpcMethod, concepts.rpcService, out)) return true
  if (putPair(facts, concepts.graphqlType, concepts.graphqlName, out)) return true
  if (facts.earlier || !facts.look(concepts.dbSystem) || !facts.look(concepts.dbStatement)) return false
  putFound(facts, out)
  return true
}

function putHttp(facts: SpanFacts, out: Growing): void {
  const { kind } = facts.span
  const isOther = !facts.earlier && sameBytes(facts.bytes, facts.start, facts.end - facts.start, other)
  if (isOther) all(out, http)
  else putFound(facts, out)
  if (facts.earlier || kind === SERVER) putMore(facts, concepts.httpRoute, out)
  else if (kind === CLIENT) putMore(facts, concepts.urlTemplate, out)
}

const sqlSystems = (
  'other_sql mssql mysql oracle db2 postgresql redshift cloudscape hsqldb maxdb ingres firstsql edb ' +
  'cache firebird derby informix mariadb sqlite sybase teradata vertica h2 coldfusion cockroachdb ' +
  'progress hanadb adabas filemaker instantdb interbase netezza pervasive pointbase clickhouse'
).split(' ')
/** Databases that Datadog has a type of its own for; any other is a `db`. */
const ownTypes = ['cassandra', 'redis', 'memcached', 'mongodb', 'elasticsearch', 'opensearch']
const systems = new KeyTable([...sqlSystems, ...ownTypes])
const systemTypes = [...sqlSystems.map(() => 'sql'), ...ownTypes].map(constant)

const types = {
  llm: constant('llm'),
  web: constant('web'),
  http: constant('http'),
  db: constant('db'),
  custom: constant('custom'),
}

/** Whose resource holds values that must not leave. */
export const PLAIN = 0
export const SQL = 1
export const REDIS = 2

/** Types whose resource is a statement, and of which kind. */
const statements = new KeyTable(['sql', 'cassandra', 'redis', 'valkey'])
const statementKinds = [SQL, SQL, REDIS, REDIS]

/** Sets what was found of `facts` to the span's type, and says what its resource may hold. */
export function findType(facts: SpanFacts): number {
  const { span } = facts
  const set = (type: Uint8Array): void => {
    facts.bytes = type
    facts.start = 0
    facts.end = type.length
  }
  if (span.attributes.hasGenAi) set(types.llm)
  else if (facts.look(concepts.spanType)) {
    if (facts.end - facts.start > 100) facts.end = cutAt(facts.bytes, facts.start, 100)
  } else if (span.kind === SERVER) set(types.web)
  else if (span.kind !== CLIENT) set(types.custom)
  else set(facts.look(concepts.dbSystem) ? databaseType(facts) : types.http)
  const statement = statements.find(facts.bytes, facts.start, facts.end - facts.start)
  return statement < 0 ? PLAIN : statementKinds[statement]
}

function databaseType({ bytes, start, end }: SpanFacts): Uint8Array {
  const direct = systems.find(bytes, start, end - start)
  if (direct >= 0) return systemTypes[direct]
  const lower = Buffer.from(normalTagValue(text(bytes, start, end)))
  const found = systems.find(lower, 0, lower.length)
  return found >= 0 ? systemTypes[found] : types.db
}

/** Kinds of which Datadog counts every span. */
export const isCountedKind = (kind: number): boolean =>
  kind === SERVER || kind === CLIENT || kind === PRODUCER || kind === CONSUMER
