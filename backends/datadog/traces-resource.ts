/** What all spans of a resource and an instrumentation scope have in common, made once for all of them. */
import { attributeTags, AttributeWalk } from '../../proto/attributes.ts'
import { originOfAttributes } from './host.ts'
import { tagsOf } from './tags.ts'
import { AttributeColumns } from './traces-attributes.ts'
import { concepts, KeyTable, spanKeys, targets } from './traces-keys.ts'
import { normalService, normalTagValue } from './traces-normalise.ts'
import { entryOf } from './traces-write.ts'
import type { Group } from '../../proto/group.ts'
import { encodeField, text } from '../../proto/values.ts'
import { fieldNamed, readText } from '../../proto/views.ts'

/** Tag of the map of texts in Datadog's span. */
export const metaTag = 0x52

/** A resource as Datadog's rules see it. It has a copy of the bytes, so that it can be kept. */
export class TraceResource {
  readonly attributes: AttributeColumns
  readonly service: string
  /** The service as the first field of a span. */
  readonly serviceField: Buffer
  readonly env: string
  readonly version: string
  readonly containerId: string
  readonly language: string
  readonly tracerVersion: string
  /** Where it is; '' where there is no host; undefined where the resource does not say. */
  readonly hostname: string | undefined
  /** Tags of the container, as `key:value`. */
  readonly containerTags: readonly string[]
  readonly #size: number
  readonly #common = new Map<string, CommonTags>()
  #commonBytes = 0

  /** `bytes` are the content of the Resource. @throws WireError */
  constructor(bytes: Buffer, table: KeyTable) {
    this.#size = bytes.length
    this.attributes = new AttributeColumns(table)
    const { attributes } = this
    loadAttributes(attributes, bytes, 0, bytes.length, attributeTags.resource)
    this.service = normalService(this.first(concepts.serviceName))
    this.serviceField = encodeField(0x0a, Buffer.from(this.service))
    this.env = normalTagValue(this.first(concepts.environment))
    this.version = normalTagValue(this.first(concepts.serviceVersion))
    this.containerId = normalTagValue(this.first(concepts.containerId))
    this.language = normalTagValue(this.first(concepts.sdkLanguage))
    this.tracerVersion = `otlp-${normalTagValue(this.first(concepts.sdkVersion))}`
    const texts = new Map<string, string>()
    for (let i = 0; i < attributes.count; i++) {
      const key = attributeKey(attributes, i)
      if (!texts.has(key)) texts.set(key, attributes.text(i))
    }
    const origin = originOfAttributes(texts)
    const named = texts.get('_dd.hostname')
    this.hostname = origin === undefined ? named || undefined : origin.kind === 'host' ? origin.name : ''
    const tags = Array.from(tagsOf(texts).container, ([tag, value]) => `${tag}:${value}`)
    this.containerTags = origin?.kind === 'fargate' ? [...tags, `task_arn:${origin.name}`] : tags
  }

  /** The tags it has in common with a scope, whose bytes are from `start` to `end`. @throws WireError */
  common(bytes: Buffer, start: number, end: number): CommonTags {
    const key = bytes.toString('latin1', start, end)
    let common = this.#common.get(key)
    if (common === undefined) {
      common = new CommonTags(this, bytes.subarray(start, end))
      this.#keep(key, common)
    }
    return common
  }

  /** Bytes that it takes, with its scopes, roughly. */
  get cost(): number {
    return costOf(this.#size) + this.#commonBytes
  }

  #keep(key: string, common: CommonTags): void {
    const cost = costOf(this.#size + key.length)
    if (this.#common.size >= mostKept || this.#commonBytes + cost > mostBytes) {
      this.#common.clear()
      this.#commonBytes = 0
    }
    if (cost > mostBytes) return
    this.#common.set(key, common)
    this.#commonBytes += cost
  }

  /** The first of these attributes that has a text; ''. */
  first(keys: readonly number[]): string {
    for (const key of keys) {
      const i = this.attributes.find(key)
      const found = i < 0 ? '' : this.attributes.text(i)
      if (found !== '') return found
    }
    return ''
  }
}

/** How many resources, and scopes of each, are kept to be found again. */
const mostKept = 256
/** Bytes that the scopes of one resource, and all resources of one generation, may take. */
const mostBytes = 4 << 20

/** Bytes of what is made of a message of that size: its tags are written several times over. */
const costOf = (size: number): number => 2000 + 6 * size

/** Keeps the resources that were seen last. */
export class TraceResources {
  readonly #table: KeyTable
  #young = new Map<string, TraceResource>()
  #old = new Map<string, TraceResource>()

  constructor(table: KeyTable = spanKeys) {
    this.#table = table
  }

  /** The resource of a group. @throws WireError */
  of({ resource, resourceStart, resourceEnd }: Group): TraceResource {
    const key = resource.toString('latin1', resourceStart, resourceEnd)
    const kept = this.#young.get(key)
    if (kept !== undefined) return kept
    const found = this.#old.get(key) ?? new TraceResource(Buffer.from(key, 'latin1'), this.#table)
    if (this.#young.size >= mostKept || this.#cost() + found.cost > mostBytes) {
      this.#old = this.#young
      this.#young = new Map()
    }
    if (found.cost <= mostBytes) this.#young.set(key, found)
    return found
  }

  #cost(): number {
    let cost = 0
    for (const resource of this.#young.values()) cost += resource.cost
    return cost
  }
}

/** Fills the columns with the attributes of a message. @throws WireError */
export function loadAttributes(
  columns: AttributeColumns,
  bytes: Uint8Array,
  start: number,
  end: number,
  tag: number,
): void {
  columns.clear()
  const walk = new AttributeWalk(bytes, start, end, tag)
  while (walk.next()) columns.add(bytes, walk.from, walk.to)
}

/** The key of an attribute as a text. */
export function attributeKey({ keySources, keys, keyLengths }: AttributeColumns, i: number): string {
  return text(keySources[i], keys[i], keys[i] + keyLengths[i])
}

const scopeName = fieldNamed('InstrumentationScope', 'name')
const scopeVersion = fieldNamed('InstrumentationScope', 'version')
const headerPrefix = 'http.request.header.'

/** Under which key Datadog has an attribute that it calls otherwise; '' for one that is not written. */
export function datadogKey(known: number, key: string): string {
  if (known >= 0 && known < targets.length) return targets[known] < 0 ? '' : spanKeys.names[targets[known]]
  return key.startsWith(headerPrefix) ? `http.request.headers.${key.slice(headerPrefix.length)}` : key
}

/** The tags that spans have of their resource and scope. */
export class CommonTags {
  /** Name of the scope. */
  readonly scope: string
  readonly table: KeyTable
  /** Entries of the map of texts, by number in the table. */
  readonly entries: readonly Buffer[]
  /** All of them, one after the other. */
  readonly block: Buffer
  /** From this number on a span's attribute does not take the place of an entry. */
  readonly firm: number
  /** Numbers of some; -1 without one. */
  readonly env: number
  readonly version: number
  readonly dbName: number
  /** The entry `db.name` is made of another attribute. */
  readonly derivedDbName: boolean

  /** `scope` are the bytes of the InstrumentationScope; empty without one. @throws WireError */
  constructor(resource: TraceResource, scope: Uint8Array) {
    this.scope = readText(scope, 0, scope.length, scopeName)
    const loose = new Map<string, string>()
    const put = (key: string, value: string): void => {
      if (value !== '') loose.set(key, value)
    }
    put('version', resource.version)
    put('env', resource.env)
    const version = readText(scope, 0, scope.length, scopeVersion)
    put('otel.scope.name', this.scope)
    put('otel.library.name', this.scope)
    put('otel.scope.version', version)
    put('otel.library.version', version)
    fillLoose(resource.attributes, loose)
    this.derivedDbName = !loose.get('db.name')
    if (this.derivedDbName) put('db.name', resource.first(concepts.dbNamespace))
    const firm = firmTags(scope)
    for (const key of firm.keys()) loose.delete(key)
    const all = [...loose, ...firm]
    this.firm = loose.size
    this.entries = all.map(([key, value]) => entryOf(metaTag, key, value))
    this.block = Buffer.concat(this.entries)
    this.table = new KeyTable(all.map(([key]) => key))
    const number = (key: string): number => all.findIndex(([name]) => name === key)
    this.env = number('env')
    this.version = number('version')
    this.dbName = number('db.name')
  }
}

/** Attributes of the resource, where nothing else has taken the key. */
function fillLoose(attributes: AttributeColumns, loose: Map<string, string>): void {
  for (let i = 0; i < attributes.count; i++) {
    const key = datadogKey(attributes.known[i], attributeKey(attributes, i))
    if (key === '' || key === 'analytics.event' || loose.get(key)) continue
    loose.set(key, attributes.text(i))
  }
}

/** Attributes of the scope, which come before all others. */
function firmTags(scope: Uint8Array): Map<string, string> {
  const attributes = new AttributeColumns(spanKeys)
  loadAttributes(attributes, scope, 0, scope.length, attributeTags.scope)
  const firm = new Map<string, string>()
  for (let i = 0; i < attributes.count; i++) {
    const key = attributeKey(attributes, i)
    if (key !== '') firm.set(key, attributes.text(i))
  }
  return firm
}
