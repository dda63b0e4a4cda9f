/** APM stats of spans: how many there were, how many failed, how long they took, in buckets of time. */
import { PeerTags } from './stats-peer.ts'
import { costOf, encodePayload, StatsGroup, type StatsKey, type StatsOrigin } from './stats-group.ts'
import { unsetHostname } from './stats.ts'
import { GroupSpans, type SpanRules } from './traces-group.ts'
import { concepts, extendedKeys, keyNumber } from './traces-keys.ts'
import type { TraceResource } from './traces-resource.ts'
import { findType, isCountedKind, kindNames, PLAIN, putName, putResource } from './traces-names.ts'
import { normalTagValue } from './traces-normalise.ts'
import { Obfuscator } from './traces-obfuscate.ts'
import { sampledWith } from './traces-sampling.ts'
import { ERROR } from './traces-span.ts'
import { isMeasured, lookGrpcStatus } from './traces-tags.ts'
import { putBytes, putText } from './traces-write.ts'
import { putStatement } from './traces.ts'
import type { Group } from '../../proto/group.ts'
import { Growing } from '../../proto/growing.ts'
import type { Pattern } from '../../proto/pattern.ts'
import { endless, type Room, textCost } from '../../proto/room.ts'
import { text } from '../../proto/values.ts'
import { WireError } from '../../proto/wire.ts'

/** What may be set of it. */
export interface StatsRules extends SpanRules {
  /** Spans with a resource like one of these are not counted. */
  readonly ignored: readonly Pattern[]
  /** All server, client, consumer and producer spans are counted, and not only those at the top of a service. */
  readonly byKind: boolean
  /** Peers are told apart, by Datadog's tags and these; undefined: they are not. */
  readonly peerTags: readonly string[] | undefined
  /** Length of a bucket, in milliseconds. */
  readonly interval: number
  /** How many groups a bucket may have; what is more is counted together. */
  readonly mostGroups: number
  /** Tags of the container that stats have, by their key; others are left out. */
  readonly containerTags: ReadonlySet<string>
}

/** As many groups as Datadog's intake takes in one payload. */
const groupsPerPayload = 4000

/** In place of what has no group of its own any more. */
const tooMany = 'agent_blocked_value'

/** How many buckets back a span may have ended and still be counted where it belongs. */
const kept = 2

interface Counted {
  readonly origin: StatsOrigin
  readonly group: StatsGroup
  /** Bytes taken for it. */
  readonly cost: number
}

/** Bytes of what is known of an origin, besides its text. */
const originCost = 600
/** Longest text that tells an origin apart: names of hosts and tags are short. */
const longestOrigin = 16_384

const hostnameKey = keyNumber('_dd.hostname')
const rateKey = keyNumber('_sample_rate')
const ownOrigin = [...concepts.environment, ...concepts.serviceVersion, ...concepts.containerId, hostnameKey]

/** Counts spans, bucket by bucket. */
export class SpanStats {
  /** Spans that were counted without their resource, or without anything of theirs, for want of room. */
  overflowed = 0
  /** Spans that could not be read. */
  unreadable = 0
  readonly #rules: StatsRules
  readonly #room: Room
  /** Bytes taken for origins. */
  #originBytes = 0
  readonly #spans: GroupSpans
  readonly #peers: PeerTags | undefined
  readonly #obfuscator = new Obfuscator()
  readonly #scratch = new Growing(512, undefined)
  readonly #key = new Growing(512, undefined)
  /** By start, in milliseconds since the epoch. */
  readonly #buckets = new Map<number, Map<string, Counted>>()
  readonly #origins = new Map<string, StatsOrigin>()
  #nextOrigin = 1
  /** Origins of resources that say nothing of their own. */
  #known = new WeakMap<TraceResource, StatsOrigin>()
  /** Where the parts of the key are. */
  readonly #parts = { nameEnd: 0, resourceStart: 0, resourceEnd: 0, typeEnd: 0 }
  #peerTags: readonly string[] = []
  #grpcStatus = ''
  #synthetics = false
  #oldest = 0
  #newest = 0

  /** `room`: where memory for groups is taken; with none left spans are counted without their resource. */
  constructor(rules: StatsRules, now: number, room: Room = endless) {
    this.#rules = rules
    this.#room = room
    const table = extendedKeys(rules.peerTags ?? [])
    this.#spans = new GroupSpans(rules, table)
    this.#peers = rules.peerTags === undefined ? undefined : new PeerTags(rules.peerTags, table)
    this.#oldest = this.#aligned(now)
  }

  /** Groups that are held. */
  get groups(): number {
    let groups = 0
    for (const bucket of this.#buckets.values()) groups += bucket.size
    return groups
  }

  /** Counts the spans of these groups, at `now` in milliseconds since the epoch. */
  add(groups: readonly Group[], now: number): void {
    // A clock that runs ahead makes no buckets that nobody flushes.
    this.#newest = this.#aligned(now) + this.#rules.interval
    for (const group of groups) {
      try {
        this.#group(group)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        this.unreadable += group.items
      }
    }
    this.#spans.clear()
    this.#obfuscator.clear()
  }

  #group(group: Group): void {
    const spans = this.#spans
    spans.load(group, () => this.unreadable++)
    if (countedBefore(spans.resource.first(concepts.statsComputed))) return
    const { resource } = spans
    let common = this.#known.get(resource)
    if (common === undefined) {
      common = this.#originOf(resource.env, resource.version, resource.containerId)
      this.#known.set(resource, common)
    }
    for (let i = 0; i < spans.index.count; i++) {
      try {
        spans.read(i)
        this.#span(i, common)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        this.unreadable++
      }
    }
  }

  #span(i: number, common: StatsOrigin): void {
    const { span, facts, index } = this.#spans
    const isTopLevel = this.#spans.isTopLevel(i)
    const { byKind, topLevelByKind, ignored } = this.#rules
    const counts = (byKind || topLevelByKind) && isCountedKind(span.kind)
    if (!isTopLevel && !counts && !isMeasured(facts)) return
    const key = this.#key
    const isRoot = index.isRoot(i)
    const status = this.#writeKey(i, isRoot)
    const { resourceStart, resourceEnd } = this.#parts
    if (ignored.some(pattern => pattern.matches(text(key.bytes, resourceStart, resourceEnd)))) return
    const { attributes } = span
    const origin = ownOrigin.some(number => attributes.find(number) >= 0) ? this.#ownOrigin() : common
    const duration = durationOf(span)
    const bucket = this.#bucketAt(span.endHigh * 0x1_0000_0000 + span.endLow)
    this.#counted(bucket, origin, i, isRoot, status).add(duration, span.status === ERROR, isTopLevel, this.#weight())
  }

  /** Writes what tells the span's group apart, and gives the status of HTTP. */
  #writeKey(i: number, isRoot: boolean): number {
    const { facts, span, resource } = this.#spans
    const key = this.#key
    const parts = this.#parts
    key.at = 0
    putName(facts, this.#rules.names, key)
    parts.nameEnd = key.at
    const statement = findType(facts)
    putBytes(key, facts.bytes, facts.start, facts.end)
    parts.typeEnd = parts.resourceStart = key.at
    if (statement === PLAIN) putResource(facts, key)
    else putStatement(facts, statement, this.#scratch, this.#obfuscator, key)
    if (key.at === parts.resourceStart)
      putBytes(key, Buffer.from(key.bytes.subarray(0, parts.nameEnd)), 0, parts.nameEnd)
    parts.resourceEnd = key.at
    const code = facts.wholeNumber(concepts.httpStatus) ?? 0
    const status = code >= 0 && code <= 0xffff_ffff ? code : 0
    this.#grpcStatus = lookGrpcStatus(facts) ? grpcNumber(facts.found) : ''
    this.#synthetics = facts.look(originKey) && facts.found.startsWith('synthetics')
    this.#peerTags = this.#peers?.of(facts) ?? []
    const rest = `${parts.nameEnd} ${parts.typeEnd} ${parts.resourceEnd} ${span.kind} ${status} ${this.#grpcStatus} ${
      isRoot ? 1 : 0
    }${this.#synthetics ? 1 : 0} ${this.#spans.ownService(i) ?? resource.service} ${this.#peerTags.join('\0')}`
    putText(key, rest)
    return status
  }

  #counted(bucket: Map<string, Counted>, origin: StatsOrigin, i: number, isRoot: boolean, status: number): StatsGroup {
    const { bytes, at } = this.#key
    const known = `${origin.number} ${bytes.toString('latin1', 0, at)}`
    const found = bucket.get(known)
    if (found !== undefined) return found.group
    const key = this.#keyOf(i, isRoot, status)
    const { mostGroups } = this.#rules
    const own = bucket.size < mostGroups ? this.#added(bucket, known, origin, key) : undefined
    if (own !== undefined) return own
    this.overflowed++
    // What there is too much of is usually the resource.
    const { service, name, type, kind } = key
    const short = `many ${origin.number} ${JSON.stringify([service, name, type, kind])}`
    const collected = bucket.get(short)
    if (collected !== undefined) return collected.group
    if (bucket.size < mostGroups * 1.25) {
      const few = this.#added(bucket, short, origin, { ...blockedKey, service, name, type, kind, resource: tooMany })
      if (few !== undefined) return few
    }
    const rest = bucket.get('rest')
    if (rest !== undefined) return rest.group
    // One of each bucket, whether there is room or not.
    const group = new StatsGroup(blockedKey, this.#room)
    bucket.set('rest', { origin: restOrigin, group, cost: 0 })
    return group
  }

  /** A new group, if there is room for it. */
  #added(bucket: Map<string, Counted>, known: string, origin: StatsOrigin, key: StatsKey): StatsGroup | undefined {
    const cost = textCost(known) + costOf(key)
    if (!this.#room.grow(cost)) return undefined
    const group = new StatsGroup(key, this.#room)
    bucket.set(known, { origin, group, cost })
    return group
  }

  #keyOf(i: number, isRoot: boolean, status: number): StatsKey {
    const { bytes } = this.#key
    const { nameEnd, typeEnd, resourceStart, resourceEnd } = this.#parts
    const { span, resource } = this.#spans
    return {
      service: this.#spans.ownService(i) ?? resource.service,
      name: text(bytes, 0, nameEnd),
      type: text(bytes, nameEnd, typeEnd),
      resource: text(bytes, resourceStart, resourceEnd),
      kind: kindNames[span.kind] ?? kindNames[0],
      status,
      grpcStatus: this.#grpcStatus,
      synthetics: this.#synthetics,
      root: isRoot,
      peerTags: this.#peerTags,
    }
  }

  /** How many spans this one stands for. */
  #weight(): number {
    const { attributes, bytes, stateStart, stateEnd } = this.#spans.span
    const i = attributes.find(rateKey)
    const rate = (i < 0 ? undefined : attributes.number(i)) ?? sampledWith(bytes, stateStart, stateEnd)
    return rate > 0 && rate <= 1 ? 1 / rate : 1
  }

  #aligned(milliseconds: number): number {
    return milliseconds - (milliseconds % this.#rules.interval)
  }

  /** The bucket that spans belong to which end at that nanosecond; what is older than all is counted in the oldest. */
  #bucketAt(end: number): Map<string, Counted> {
    const start = Math.min(Math.max(this.#aligned(Math.floor(end / 1e6)), this.#oldest), this.#newest)
    let bucket = this.#buckets.get(start)
    if (bucket === undefined) this.#buckets.set(start, (bucket = new Map()))
    return bucket
  }

  /** What the span says of itself in place of its resource. */
  #ownOrigin(): StatsOrigin {
    const { facts } = this.#spans
    const of = (keys: readonly number[]): string => (facts.look(keys) ? normalTagValue(facts.found) : '')
    const named = this.#spans.resource.hostname === undefined && facts.look([hostnameKey]) ? facts.found : undefined
    return this.#originOf(of(concepts.environment), of(concepts.serviceVersion), of(concepts.containerId), named)
  }

  #originOf(env: string, version: string, containerId: string, named?: string): StatsOrigin {
    const { resource } = this.#spans
    const { containerTags } = this.#rules
    const tags =
      containerId === '' ? [] : resource.containerTags.filter(tag => containerTags.has(tag.slice(0, tag.indexOf(':'))))
    const hostname = named ?? resource.hostname ?? unsetHostname
    const origin = { hostname, env: env || 'none', version, containerId, tags: tags.map(normalTagValue).toSorted() }
    const id = JSON.stringify(origin)
    const known = this.#origins.get(id)
    if (known !== undefined) return known
    if (this.#origins.size >= this.#rules.mostGroups || id.length > longestOrigin) return restOrigin
    // Its parts repeat the text.
    const cost = originCost + 2 * textCost(id)
    if (!this.#room.grow(cost)) return restOrigin
    this.#originBytes += cost
    const made = { ...origin, id, number: this.#nextOrigin++ }
    this.#origins.set(id, made)
    return made
  }

  /** The payloads of all buckets that are old enough, which are forgotten; of all of them where `all` is set. */
  flush(now: number, all: boolean): Buffer[] {
    const { interval } = this.#rules
    const parts: { origin: StatsOrigin; start: number; group: StatsGroup }[] = []
    let bytes = 0
    for (const [start, bucket] of this.#buckets) {
      if (!all && start > now - kept * interval) continue
      for (const { origin, group, cost } of bucket.values()) {
        parts.push({ origin, start, group })
        bytes += cost + group.taken
      }
      this.#buckets.delete(start)
    }
    this.#oldest = Math.max(this.#oldest, this.#aligned(now) - (kept - 1) * interval)
    const payloads: Buffer[] = []
    for (let i = 0; i < parts.length; i += groupsPerPayload) {
      const some = parts.slice(i, i + groupsPerPayload)
      const byPart = Map.groupBy(some, ({ origin, start }) => `${origin.number} ${start}`)
      const together = Array.from(byPart.values(), list => ({
        origin: list[0].origin,
        start: list[0].start,
        groups: list.map(({ group }) => group),
      }))
      payloads.push(encodePayload(together, interval, parts.length > groupsPerPayload))
    }
    this.#room.shrink(bytes)
    this.#forgetOrigins()
    return payloads
  }

  /** Keeps the origins of what is held. */
  #forgetOrigins(): void {
    this.#known = new WeakMap()
    this.#origins.clear()
    const before = this.#originBytes
    this.#originBytes = 0
    for (const bucket of this.#buckets.values()) {
      for (const { origin } of bucket.values()) {
        if (origin === restOrigin || this.#origins.has(origin.id)) continue
        this.#origins.set(origin.id, origin)
        this.#originBytes += originCost + 2 * textCost(origin.id)
      }
    }
    this.#room.shrink(before - this.#originBytes)
  }
}

const originKey = [keyNumber('_dd.origin')]

const blockedKey: StatsKey = {
  service: tooMany,
  name: tooMany,
  resource: tooMany,
  type: tooMany,
  kind: tooMany,
  status: 0,
  grpcStatus: '',
  synthetics: false,
  root: undefined,
  peerTags: [],
}
const restOrigin: StatsOrigin = {
  id: '',
  number: 0,
  hostname: unsetHostname,
  env: 'none',
  version: '',
  containerId: '',
  tags: [],
}

/** Whether a tracer has counted the spans itself. */
const countedBefore = (value: string): boolean => value !== '' && value !== 'false'

function durationOf({ startLow, startHigh, endLow, endHigh }: GroupSpans['span']): number {
  const duration = (endHigh - startHigh) * 0x1_0000_0000 + (endLow - startLow)
  return duration > 0 && endHigh < 0x8000_0000 ? duration : 0
}

const grpcCodes = (
  'OK CANCELLED UNKNOWN INVALIDARGUMENT DEADLINEEXCEEDED NOTFOUND ALREADYEXISTS PERMISSIONDENIED ' +
  'RESOURCEEXHAUSTED FAILEDPRECONDITION ABORTED OUTOFRANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATALOSS ' +
  'UNAUTHENTICATED'
).split(' ')

/** The number of a status of gRPC that stands there as a number or as a name; '' for anything else. */
function grpcNumber(status: string): string {
  if (/^\d{1,9}$/.test(status)) return String(Number(status))
  const name = status
    .replace(/^StatusCode\./, '')
    .toUpperCase()
    .replaceAll('_', '')
  const code = name === 'CANCELED' ? 1 : grpcCodes.indexOf(name)
  return code < 0 ? '' : String(code)
}
