/**
 * Spans as the payload that Datadog's intake for traces takes (`AgentPayload` of version 0.2), written from their bytes.
 * The rules are those of Datadog's Agent for OpenTelemetry spans.
 */
import { GroupSpans, type SpanRules } from './traces-group.ts'
import { findType, PLAIN, putName, putResource, REDIS, SQL, type SpanFacts } from './traces-names.ts'
import { Obfuscator, redisCommands } from './traces-obfuscate.ts'
import { bigEndian, ERROR } from './traces-span.ts'
import { type SpanPlace, TagWriter } from './traces-tags.ts'
import { close, entryOf, mend, open, putBytes, putNumberField, putText, putTextField } from './traces-write.ts'
import type { Group } from '../../proto/group.ts'
import { Growing, type Memory } from '../../proto/growing.ts'
import type { Pattern } from '../../proto/pattern.ts'
import { text } from '../../proto/values.ts'
import { WireError } from '../../proto/wire.ts'

/** What may be set of it. */
export interface TraceRules extends SpanRules {
  /** Traces whose root has a resource like one of these are left out. */
  readonly ignored: readonly Pattern[]
  /** The host of what does not say where it comes from. */
  readonly hostname: string
  /** Name and version of the sender. */
  readonly agent: string
}

/** A payload, and what is not in it. */
export interface TracePayload {
  readonly body: Buffer
  /** Spans in it. */
  readonly spans: number
  /** Spans left out, by reason. */
  readonly left: Readonly<Record<string, number>>
}

const containerTagsKey = '_dd.tags.container'
const samplingEntry = entryOf(0x22, '_dd.otlp_sr', '1.00')
const byUser = entryOf(0x22, '_dd.p.dm', '-4')
const bySampler = entryOf(0x22, '_dd.p.dm', '-9')
/** The first nanosecond of 2000; what began earlier has a wrong clock. */
const year2000 = 946_684_800_000_000_000

/** Writes payloads, with the same few objects for all spans. */
export class TraceEncoder {
  readonly #rules: TraceRules
  readonly #group: GroupSpans
  readonly #tags: TagWriter
  readonly #obfuscator = new Obfuscator()
  readonly #scratch = new Growing(1024, undefined)
  readonly #place: SpanPlace = { topLevel: false, statement: PLAIN }
  #out = new Growing(16, undefined)
  #left: Record<string, number> = {}
  #now = 0
  #spans = 0
  #rootResource = ''

  constructor(rules: TraceRules) {
    this.#rules = rules
    this.#group = new GroupSpans(rules)
    this.#tags = new TagWriter(this.#group.facts, this.#obfuscator, rules.topLevelByKind)
  }

  /**
   * The payload of these groups. `now`, in milliseconds since the epoch, is when spans have ended that do not say it.
   * @throws WireError where a resource cannot be read
   */
  encode(groups: readonly Group[], now: number, memory: Memory | undefined): TracePayload {
    const out = (this.#out = new Growing(Math.ceil(payloadSize(groups)), memory))
    this.#left = {}
    this.#now = now
    this.#spans = 0
    const { hostname, agent } = this.#rules
    try {
      putTextField(out, 0x0a, hostname)
      putTextField(out, 0x12, 'none')
      for (const group of groups) this.#payload(group)
      putTextField(out, 0x3a, agent)
      return { body: out.done(), spans: this.#spans, left: this.#left }
    } catch (error) {
      out.abandon()
      throw error
    } finally {
      this.#release()
    }
  }

  #release(): void {
    this.#out = new Growing(16, undefined)
    this.#group.clear()
    this.#tags.clear()
    this.#obfuscator.clear()
  }

  #leave(reason: string, spans: number): void {
    this.#left[reason] = (this.#left[reason] ?? 0) + spans
  }

  #payload(group: Group): void {
    this.#group.load(group, reason => this.#leave(reason, 1))
    const { index, resource } = this.#group
    if (index.count === 0) return
    const out = this.#out
    const before = out.at
    const payload = open(out, 0x2a, 3)
    putTextField(out, 0x0a, resource.containerId)
    putTextField(out, 0x12, resource.language)
    putTextField(out, 0x22, resource.tracerVersion)
    const from = out.at
    for (let trace = 0; trace < index.traces; trace++) this.#trace(trace)
    if (out.at === from) {
      out.at = before
      return
    }
    if (resource.containerTags.length > 0) {
      const entry = entryOf(0x3a, containerTagsKey, resource.containerTags.join(','))
      putBytes(out, entry, 0, entry.length)
    }
    putTextField(out, 0x42, resource.env)
    putTextField(out, 0x4a, resource.hostname ?? this.#rules.hostname)
    putTextField(out, 0x52, resource.version)
    close(out, payload, 3)
  }

  #trace(trace: number): void {
    const out = this.#out
    const { index } = this.#group
    const { ignored } = this.#rules
    const before = out.at
    const chunk = open(out, 0x32, 2)
    const root = ignored.length === 0 ? -1 : index.root(trace)
    this.#rootResource = ''
    let priority: number | undefined
    let spans = 0
    for (let i = index.heads[trace]; i >= 0; i = index.next[i] - 1) {
      if (!this.#writeSpan(i, i === root)) continue
      spans++
      priority = this.#tags.priority ?? priority
    }
    if (spans === 0 || ignored.some(pattern => pattern.matches(this.#rootResource))) {
      out.at = before
      if (spans > 0) this.#leave('ignore_resources', spans)
      return
    }
    this.#spans += spans
    const kept = priority ?? 1
    putNumberField(out, 0x08, kept >>> 0, kept < 0 ? 0xffff_ffff : 0)
    putBytes(out, samplingEntry, 0, samplingEntry.length)
    const maker = priority === undefined ? bySampler : byUser
    if (kept > 0) putBytes(out, maker, 0, maker.length)
    close(out, chunk, 2)
  }

  /** Writes the span; false where it cannot be read. */
  #writeSpan(i: number, isRoot: boolean): boolean {
    const out = this.#out
    const before = out.at
    try {
      this.#group.read(i)
      const content = open(out, 0x1a, 2)
      this.#fields(i, isRoot)
      close(out, content, 2)
      return true
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      out.at = before
      this.#leave('malformed', 1)
      return false
    }
  }

  #fields(i: number, isRoot: boolean): void {
    const out = this.#out
    const { span, facts, resource } = this.#group
    const { bytes } = span
    const service = this.#group.ownService(i)
    if (service !== undefined) putTextField(out, 0x0a, service)
    else putBytes(out, resource.serviceField, 0, resource.serviceField.length)
    const name = open(out, 0x12, 1)
    putName(facts, this.#rules.names, out)
    const nameEnd = out.at
    close(out, name, 1)
    this.#putTypeAndResource(name, nameEnd, isRoot)
    putNumberField(out, 0x20, bigEndian(bytes, span.traceId + 12), bigEndian(bytes, span.traceId + 8))
    putNumberField(out, 0x28, bigEndian(bytes, span.spanId + 4), bigEndian(bytes, span.spanId))
    if (span.parentId >= 0) {
      putNumberField(out, 0x30, bigEndian(bytes, span.parentId + 4), bigEndian(bytes, span.parentId))
    }
    this.#putTimes()
    if (span.status === ERROR) putNumberField(out, 0x48, 1, 0)
    this.#place.topLevel = this.#group.isTopLevel(i)
    this.#tags.write(out, this.#group.common(i), this.#place)
  }

  /** Type and resource; a resource without a name is called as the operation, which stands between `nameStart` and `nameEnd`. */
  #putTypeAndResource(nameStart: number, nameEnd: number, isRoot: boolean): void {
    const out = this.#out
    const { facts } = this.#group
    const statement = (this.#place.statement = findType(facts))
    const type = open(out, 0x62, 1)
    putBytes(out, facts.bytes, facts.start, facts.end)
    mend(out, type)
    close(out, type, 1)
    const resource = open(out, 0x1a, 1)
    if (statement === PLAIN) putResource(facts, out)
    else putStatement(facts, statement, this.#scratch, this.#obfuscator, out)
    if (out.at === resource) {
      out.ensure(nameEnd - nameStart)
      out.bytes.copyWithin(out.at, nameStart, nameEnd)
      out.at += nameEnd - nameStart
    }
    mend(out, resource)
    if (isRoot) this.#rootResource = text(out.bytes, resource, out.at)
    close(out, resource, 1)
  }

  #putTimes(): void {
    const out = this.#out
    const { startLow, startHigh, endLow, endHigh } = this.#group.span
    const isOrdered = endHigh > startHigh || (endHigh === startHigh && endLow >= startLow)
    const runs = isOrdered && endHigh < 0x8000_0000
    const low = runs ? (endLow - startLow) >>> 0 : 0
    const high = runs ? (endHigh - startHigh - (endLow < startLow ? 1 : 0)) >>> 0 : 0
    if (startHigh < 0x8000_0000 && startHigh * 0x1_0000_0000 + startLow >= year2000)
      putNumberField(out, 0x38, startLow, startHigh)
    else {
      const duration = (BigInt(high) << 32n) | BigInt(low)
      const start = BigInt(this.#now) * 1_000_000n - duration
      putNumberField(out, 0x38, Number(start & 0xffff_ffffn), Number((start >> 32n) & 0xffff_ffffn))
    }
    putNumberField(out, 0x40, low, high)
  }
}

/** What a span grows by, besides the tags of its resource, which every span carries. */
const growth = 350

/** About how many bytes a payload of these groups has; seldom more. */
export function payloadSize(groups: readonly Group[]): number {
  let size = 256
  for (const group of groups) {
    size += group.size + group.items * ((group.resourceEnd - group.resourceStart) * 1.5 + growth)
  }
  return size
}

/** Appends the name of a resource that is a statement, without the values in it. */
export function putStatement(
  facts: SpanFacts,
  statement: number,
  scratch: Growing,
  obfuscator: Obfuscator,
  out: Growing,
): void {
  scratch.at = 0
  putResource(facts, scratch)
  if (statement === REDIS) putText(out, redisCommands(scratch.bytes, 0, scratch.at))
  else if (statement === SQL) {
    const { bytes, start, end } = facts
    // Usually it is an attribute as it stands, which is a tag of the span, too: it is taken apart once.
    if (scratch.at === end - start && scratch.bytes.compare(bytes, start, end, 0, scratch.at) === 0) {
      obfuscator.sql(bytes, start, end)
    } else {
      obfuscator.clear()
      obfuscator.sql(scratch.bytes, 0, scratch.at)
    }
    putBytes(out, obfuscator.out.bytes, 0, obfuscator.out.at)
  }
}
