/** The tags of a span: texts in its map `meta`, numbers in its map `metrics`. */
import { STATUS_CODES } from 'node:http'
import { AttributeColumns, beginsWith } from './traces-attributes.ts'
import { concepts, keyNumber, spanKeys, targets } from './traces-keys.ts'
import { SpanJson } from './traces-json.ts'
import { kindNames, SQL, type SpanFacts } from './traces-names.ts'
import { normalTagValue } from './traces-normalise.ts'
import type { Obfuscator } from './traces-obfuscate.ts'
import { type CommonTags, metaTag } from './traces-resource.ts'
import { sampledWith } from './traces-sampling.ts'
import { CLIENT, ERROR, PRODUCER, type SpanReader } from './traces-span.ts'
import { entryOf, putBytes, putDoubleEntry, putEntry, putEntryOfAnyLength } from './traces-write.ts'
import type { Growing } from '../../proto/growing.ts'
import { BOOL, DOUBLE, INT, TEXT } from '../../proto/values.ts'

const metricsTag = 0x5a

const kindEntries = kindNames.map(name => entryOf(metaTag, 'span.kind', name))
const statusEntries = ['Unset', 'Ok', 'Error'].map(name => entryOf(metaTag, 'otel.status_code', name))
const exceptionEntry = entryOf(metaTag, '_dd.span_events.has_exception', 'true')
/** All of the entry but the 32 digits at its end. */
const traceIdEntry = entryOf(metaTag, 'otel.trace_id', '0'.repeat(32)).subarray(0, -32)
const digits = Buffer.from('0123456789abcdef')
const keyBytes = spanKeys.names.map(name => Buffer.from(name))
const headers = { from: Buffer.from('http.request.header.'), to: 'http.request.headers.' }
const eventsKey = Buffer.from('events')
const linksKey = Buffer.from('_dd.span_links')
const stateKey = Buffer.from('w3c.tracestate')
const descriptionKey = Buffer.from('otel.status_description')
const eventRateKey = Buffer.from('_dd1.sr.eausr')

const keys = {
  statusCode: keyNumber('http.status_code'),
  topLevel: keyNumber('_top_level'),
  measured: keyNumber('_dd.measured'),
  sampleRate: keyNumber('_sample_rate'),
  samplingPriority: keyNumber('sampling.priority'),
  priority: keyNumber('_sampling_priority_v1'),
  analytics: keyNumber('analytics.event'),
  grpcStatus: keyNumber('rpc.grpc.status_code'),
  env: keyNumber('env'),
  version: keyNumber('version'),
  serviceVersion: keyNumber('service.version'),
  environments: concepts.environment,
  dbName: keyNumber('db.name'),
  dbNamespace: keyNumber('db.namespace'),
  message: keyNumber('error.msg'),
  type: keyNumber('error.type'),
  stack: keyNumber('error.stack'),
}
const statements: readonly number[] = [keyNumber('sql.query'), ...concepts.dbStatement]

/** What is known of a span besides its bytes. */
export interface SpanPlace {
  topLevel: boolean
  /** Whether its resource is a statement, and of which kind. */
  statement: number
}

/** Writes the tags of one span after the other. */
export class TagWriter {
  /** The sampling priority that the last span gave; undefined: none. */
  priority: number | undefined
  readonly #facts: SpanFacts
  readonly #obfuscator: Obfuscator
  readonly #byKind: boolean
  readonly #json = new SpanJson(new AttributeColumns(spanKeys))
  /** By key number: the span that wrote the text, and the number, under it last. */
  readonly #texts = new Int32Array(spanKeys.names.length)
  readonly #numbers = new Int32Array(spanKeys.names.length)
  #skipped = new Int32Array(64)
  #stamp = 0
  #skips = false

  /** `byKind`: client and producer spans are measured. */
  constructor(facts: SpanFacts, obfuscator: Obfuscator, byKind: boolean) {
    this.#facts = facts
    this.#obfuscator = obfuscator
    this.#byKind = byKind
  }

  /** Lets go of the bytes. */
  clear(): void {
    this.#json.clear()
  }

  /** Appends the tags of the span that is loaded. @throws WireError */
  write(out: Growing, common: CommonTags, place: SpanPlace): void {
    const { span } = this.#facts
    this.#stamp++
    this.#skips = false
    this.priority = undefined
    if (this.#skipped.length < common.entries.length) this.#skipped = new Int32Array(common.entries.length * 2)
    putBytes(out, kindEntries[span.kind] ?? kindEntries[0], 0, (kindEntries[span.kind] ?? kindEntries[0]).length)
    putTraceId(out, span)
    const status = statusEntries[span.status] ?? statusEntries[0]
    putBytes(out, status, 0, status.length)
    this.#putFixedNumbers(out, place)
    this.#putGrpcStatus(out, common)
    const { attributes } = span
    for (let i = 0; i < attributes.count; i++) this.#putAttribute(out, attributes, i, common, place)
    this.#putParts(out, span, common)
    this.#putUnified(out, span, common)
    if (span.status === ERROR) this.#putError(out, span, common)
    this.#putCommon(out, common)
  }

  #putFixedNumbers(out: Growing, { topLevel }: SpanPlace): void {
    const facts = this.#facts
    const { span } = facts
    const code = facts.wholeNumber(concepts.httpStatus)
    if (code !== undefined && code >= 0) this.#putNumber(out, keys.statusCode, code)
    if (topLevel) this.#putNumber(out, keys.topLevel, 1)
    const measured = this.#byKind && (span.kind === CLIENT || span.kind === PRODUCER)
    if (measured || isMeasured(facts)) this.#putNumber(out, keys.measured, 1)
    if (span.stateEnd === span.stateStart || span.attributes.find(keys.sampleRate) >= 0) return
    const rate = sampledWith(span.bytes, span.stateStart, span.stateEnd)
    if (rate > 0) this.#putNumber(out, keys.sampleRate, rate)
  }

  #putGrpcStatus(out: Growing, common: CommonTags): void {
    const facts = this.#facts
    if (lookGrpcStatus(facts)) this.#putOwn(out, keys.grpcStatus, facts.bytes, facts.start, facts.end, common)
  }

  #putNumber(out: Growing, key: number, n: number): void {
    if (this.#numbers[key] === this.#stamp) return
    this.#numbers[key] = this.#stamp
    putDoubleEntry(out, metricsTag, keyBytes[key], 0, keyBytes[key].length, n)
  }

  #putText(out: Growing, key: number, bytes: Uint8Array, start: number, end: number): void {
    this.#texts[key] = this.#stamp
    putEntry(out, metaTag, keyBytes[key], 0, keyBytes[key].length, bytes, start, end)
  }

  /** A text that is made of something else than an attribute of that name. */
  #putOwn(out: Growing, key: number, bytes: Uint8Array, start: number, end: number, common: CommonTags): void {
    if (this.#isTaken(common, keyBytes[key], 0, keyBytes[key].length, true)) return
    this.#putText(out, key, bytes, start, end)
  }

  #putAttribute(out: Growing, attributes: AttributeColumns, i: number, common: CommonTags, place: SpanPlace): void {
    const known = attributes.known[i]
    const target = known < 0 ? known : targets[known]
    if (known >= 0 && target < 0) return
    const kind = attributes.kinds[i]
    if (kind === INT || kind === DOUBLE) {
      this.#putNumberAttribute(out, attributes, i, target)
      return
    }
    let bytes = attributes.sources[i]
    let start = attributes.starts[i]
    let end = attributes.ends[i]
    if (kind !== TEXT) {
      bytes = kind === BOOL ? (attributes.text(i) === 'true' ? yes : no) : Buffer.from(attributes.text(i))
      start = 0
      end = bytes.length
    }
    if (known < 0) {
      this.#putUnknown(out, attributes, i, bytes, start, end, common)
      return
    }
    if (this.#texts[target] === this.#stamp) return
    if (target === keys.analytics) {
      putAnalytics(out, attributes.text(i))
      return
    }
    if (place.statement === SQL && end > start && statements.includes(target)) {
      this.#obfuscator.sql(bytes, start, end)
      bytes = this.#obfuscator.out.bytes
      start = 0
      end = this.#obfuscator.out.at
    }
    if (this.#isTaken(common, keyBytes[target], 0, keyBytes[target].length, end > start)) return
    this.#putText(out, target, bytes, start, end)
    // What is empty gives way to what comes after it.
    if (end === start) this.#texts[target] = 0
  }

  #putNumberAttribute(out: Growing, attributes: AttributeColumns, i: number, target: number): void {
    const n = attributes.number(i) ?? 0
    if (target >= 0) {
      const key = target === keys.samplingPriority ? keys.priority : target
      if (key === keys.priority && !Number.isNaN(n)) this.priority = Math.trunc(Math.min(2, Math.max(-1, n)))
      this.#putNumber(out, key, n)
      return
    }
    const source = attributes.keySources[i]
    const at = attributes.keys[i]
    const length = attributes.keyLengths[i]
    if (beginsWith(source, at, length, headers.from)) {
      const key = headerKey(source, at, length)
      putDoubleEntry(out, metricsTag, key, 0, key.length, n)
    } else putDoubleEntry(out, metricsTag, source, at, length, n)
  }

  /** An attribute that no rule knows. */
  #putUnknown(
    out: Growing,
    attributes: AttributeColumns,
    i: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    common: CommonTags,
  ): void {
    let source = attributes.keySources[i]
    let at = attributes.keys[i]
    let length = attributes.keyLengths[i]
    if (length === 0) return
    if (beginsWith(source, at, length, headers.from)) {
      source = headerKey(source, at, length)
      at = 0
      length = source.length
    }
    if (!this.#isTaken(common, source, at, length, end > start))
      putEntry(out, metaTag, source, at, length, bytes, start, end)
  }

  /** Whether the scope has the key; the resource's own gives way to one that is not empty. */
  #isTaken(common: CommonTags, bytes: Uint8Array, at: number, length: number, given: boolean): boolean {
    const there = common.table.find(bytes, at, length)
    if (there < 0) return false
    if (there >= common.firm) return true
    if (given) this.#skip(there)
    return false
  }

  #skip(entry: number): void {
    if (entry < 0) return
    this.#skipped[entry] = this.#stamp
    this.#skips = true
  }

  #putParts(out: Growing, span: SpanReader, common: CommonTags): void {
    const { bytes } = span
    const free = (key: Uint8Array): boolean => !this.#isTaken(common, key, 0, key.length, true)
    if (span.links.count > 0) {
      this.#json.links(bytes, span.links)
      if (free(linksKey)) this.#putJson(out, linksKey)
    }
    if (span.events.count > 0) {
      this.#json.events(bytes, span.events)
      if (free(eventsKey)) this.#putJson(out, eventsKey)
      if (this.#json.hasException) putBytes(out, exceptionEntry, 0, exceptionEntry.length)
    }
    if (span.stateEnd > span.stateStart && free(stateKey)) {
      putEntry(out, metaTag, stateKey, 0, stateKey.length, bytes, span.stateStart, span.stateEnd)
    }
    if (span.messageEnd > span.messageStart && free(descriptionKey)) {
      const { messageStart, messageEnd } = span
      putEntry(out, metaTag, descriptionKey, 0, descriptionKey.length, bytes, messageStart, messageEnd)
    }
  }

  #putJson(out: Growing, key: Uint8Array): void {
    const { json } = this.#json
    putEntryOfAnyLength(out, metaTag, key, json.bytes.subarray(0, json.at))
  }

  /** Environment, version and database, where the span says other things of them than its resource. */
  #putUnified(out: Growing, { attributes }: SpanReader, common: CommonTags): void {
    if (keys.environments.some(key => attributes.find(key) >= 0)) {
      this.#putTag(out, keys.env, concepts.environment, common, common.env)
    }
    if (attributes.find(keys.serviceVersion) >= 0) {
      this.#putTag(out, keys.version, concepts.serviceVersion, common, common.version)
    }
    if (!common.derivedDbName || attributes.find(keys.dbNamespace) < 0 || this.#texts[keys.dbName] === this.#stamp)
      return
    if (!this.#facts.look(concepts.dbNamespace)) return
    const { bytes, start, end } = this.#facts
    this.#skip(common.dbName)
    this.#putText(out, keys.dbName, bytes, start, end)
  }

  #putTag(out: Growing, key: number, from: readonly number[], common: CommonTags, entry: number): void {
    if (this.#texts[key] === this.#stamp || entry >= common.firm || !this.#facts.look(from)) return
    const value = Buffer.from(normalTagValue(this.#facts.found))
    this.#skip(entry)
    this.#putText(out, key, value, 0, value.length)
  }

  #putError(out: Growing, span: SpanReader, common: CommonTags): void {
    const { exception } = this.#json
    const hasException = span.events.count > 0 && this.#json.hasException
    const put = (key: number, value: string): void => {
      if (value === '' || this.#texts[key] === this.#stamp) return
      const bytes = Buffer.from(value)
      this.#putOwn(out, key, bytes, 0, bytes.length, common)
    }
    if (hasException) {
      put(keys.message, exception.message)
      put(keys.type, exception.type)
      put(keys.stack, exception.stack)
    }
    if (this.#texts[keys.message] === this.#stamp) return
    if (span.messageEnd > span.messageStart) {
      this.#putOwn(out, keys.message, span.bytes, span.messageStart, span.messageEnd, common)
      return
    }
    const code = this.#facts.wholeNumber(concepts.httpStatus)
    if (code !== undefined) put(keys.message, `${code} ${STATUS_CODES[code] ?? ''}`.trimEnd())
  }

  #putCommon(out: Growing, { block, entries }: CommonTags): void {
    if (!this.#skips) {
      putBytes(out, block, 0, block.length)
      return
    }
    for (let i = 0; i < entries.length; i++) {
      if (this.#skipped[i] !== this.#stamp) putBytes(out, entries[i], 0, entries[i].length)
    }
  }
}

const yes = Buffer.from('true')
const no = Buffer.from('false')

function putTraceId(out: Growing, { bytes, traceId }: SpanReader): void {
  putBytes(out, traceIdEntry, 0, traceIdEntry.length)
  out.ensure(32)
  const to = out.bytes
  let { at } = out
  for (let i = traceId; i < traceId + 16; i++) {
    to[at++] = digits[bytes[i] >> 4]
    to[at++] = digits[bytes[i] & 15]
  }
  out.at = at
}

/** Whether the span asks for stats of its own. */
export function isMeasured({ span, resource }: SpanFacts): boolean {
  const own = span.attributes.find(keys.measured)
  const n = own >= 0 ? span.attributes.number(own) : undefined
  if (n !== undefined) return Math.trunc(n) === 1
  const common = resource.find(keys.measured)
  return common >= 0 && Math.trunc(resource.number(common) ?? 0) === 1
}

/** Finds the status of a call over gRPC. */
export function lookGrpcStatus(facts: SpanFacts): boolean {
  if (facts.look(concepts.grpcStatus)) return true
  const named = facts.look(concepts.rpcSystemName) || facts.look(concepts.rpcSystem)
  return named && facts.found === 'grpc' && facts.look(concepts.rpcStatus)
}

const headerKey = (bytes: Uint8Array, at: number, length: number): Buffer =>
  Buffer.concat([Buffer.from(headers.to), bytes.subarray(at + headers.from.length, at + length)])

/** What Go takes for a truth value says whether the span is kept for analysis. */
function putAnalytics(out: Growing, value: string): void {
  const truth = /^(?:1|t|T|TRUE|true|True)$/.test(value) ? 1 : /^(?:0|f|F|FALSE|false|False)$/.test(value) ? 0 : -1
  if (truth >= 0) putDoubleEntry(out, metricsTag, eventRateKey, 0, eventRateKey.length, truth)
}
