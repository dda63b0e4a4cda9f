/**
 * Loki's push request (push.proto of Loki), written straight from OTLP bytes:
 * PushRequest { streams = 1 }, Stream { labels = 1, entries = 2 }, Entry { timestamp = 1, line = 2, structuredMetadata = 3 }.
 * Entries are written one after the other and gathered per stream when all are there.
 */
import { attributeTags } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import type { Memory } from '../../proto/growing.ts'
import { Entries } from './entries.ts'
import { putDropped, putFields, putScope } from './fields.ts'
import { type LabelSettings, type Metadata, type ResourceFacts, ResourceReader } from './labels.ts'
import { MetadataWriter, type Skipped } from './metadata.ts'
import { MetadataNames } from './metadata-names.ts'
import { LogRecordReader } from './record.ts'
import { type RecordLabels, type StreamChoice, type Target, Targets } from './target.ts'
import { lokiText } from './text.ts'
import { asBuffer, Range, TEXT, valueKind } from '../../proto/values.ts'
import { ItemCursor } from '../../proto/views.ts'
import { WireError } from '../../proto/wire.ts'

/** What Loki takes of one entry; 0 sets no limit. */
export interface EntryLimits {
  readonly lineSize: number
  readonly metadataSize: number
  readonly metadataEntries: number
  /** Cut what is too large, instead of leaving the entry out. */
  readonly truncate: boolean
}

/** Everything that decides what is written. */
export interface PushSettings {
  readonly labels: LabelSettings
  readonly record: RecordLabels
  readonly limits: EntryLimits
}

/** Why entries are left out: the names of Loki for the reasons that are Loki's. */
export type Omission = 'line_too_long' | 'structured_metadata_too_large' | 'structured_metadata_too_many' | 'malformed'

/** What became of the records of one request. */
export interface Pushed {
  readonly entries: Entries
  readonly omitted: ReadonlyMap<Omission, number>
  /** Records that lack labels because there are too many streams, and the names of these. */
  readonly demoted: number
  readonly demotedNames: ReadonlySet<string>
}

/** Writes entries. One is used for all requests of a destination. */
export class PushWriter {
  readonly #settings: PushSettings
  readonly #choice: StreamChoice
  readonly #resources: ResourceReader
  readonly #reader = new LogRecordReader()
  readonly #names = new MetadataNames()
  /** What the entries of one scope share, until the next. */
  readonly #scratch = new MetadataWriter(4096, undefined, this.#names)
  readonly #cursor = new ItemCursor()
  readonly #range = new Range()
  /** When data without any time was first seen, so that it has the same time when it is sent again. */
  readonly #seen = new WeakMap<Buffer, number>()
  readonly #now: () => number

  /** `now`, in milliseconds since the epoch, is the time of what has none of its own. */
  constructor(settings: PushSettings, choice: StreamChoice, now: () => number) {
    this.#settings = settings
    this.#choice = choice
    this.#now = now
    this.#resources = new ResourceReader(settings.labels, this.#names)
  }

  /**
   * Writes the entries of all records. What is returned holds memory until it is `done`.
   * @throws WireError where the bytes are not to be walked
   */
  write(groups: readonly Group[], memory: Memory | undefined): Pushed {
    let size = 0
    let items = 0
    for (const group of groups) {
      size += group.end - group.start + group.items * (group.resourceEnd - group.resourceStart)
      items += group.items
    }
    const request = new Request(
      this.#settings,
      this.#choice,
      new MetadataWriter(size + 1024, memory, this.#names),
      items,
    )
    try {
      for (const group of groups) this.#group(group, request)
      return request
    } catch (error) {
      request.entries.abandon()
      throw error
    }
  }

  #group(group: Group, request: Request): void {
    const facts = this.#resources.read(group)
    request.targets.enter(facts)
    const cursor = this.#cursor.set(group)
    while (cursor.nextScope()) {
      const shared = this.#shared(facts)
      while (cursor.nextItem()) this.#record(group.bytes, cursor.start, cursor.end, shared, request)
    }
  }

  /** What all entries of the scope have in common. */
  #shared({ rest }: ResourceFacts): Metadata {
    const range = this.#range
    if (!this.#settings.labels.metadata || !findScope(this.#cursor, range) || range.start === range.end) return rest
    const writer = this.#scratch
    writer.at = 0
    writer.recount()
    writer.written(rest.bytes, rest.entries, rest.size)
    putScope(writer, range)
    const { bytes, at, entries, size } = writer
    return { bytes: bytes.subarray(0, at), entries, size }
  }

  #record(bytes: Buffer, start: number, end: number, shared: Metadata, request: Request): void {
    const { entries, targets } = request
    const reader = this.#reader
    const began = entries.out.at
    let problem: Omission | undefined
    let target: Target
    try {
      reader.read(bytes, start, end)
      target = targets.of(reader, bytes)
      problem = this.#entry(bytes, shared, target, entries)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      entries.out.at = began
      request.omit('malformed')
      return
    }
    if (problem === undefined) {
      entries.take(began, target.stream)
      if (target.demoted.length > 0) request.demote(target.demoted)
      return
    }
    entries.out.at = began
    request.omit(problem)
  }

  /** Writes the entry of the record at the reader, or says why not. */
  #entry(bytes: Buffer, shared: Metadata, target: Target, entries: Entries): Omission | undefined {
    const { limits, labels } = this.#settings
    const { out } = entries
    const reader = this.#reader
    const line = this.#line()
    const long = limits.lineSize > 0 && line.end - line.start > limits.lineSize
    if (long && !limits.truncate) return 'line_too_long'
    if (long) truncate(line, limits.lineSize)
    if ((reader.timeLow | reader.timeHigh) !== 0) entries.time(reader.timeLow, reader.timeHigh)
    else if ((reader.observedLow | reader.observedHigh) !== 0) entries.time(reader.observedLow, reader.observedHigh)
    else entries.milliseconds(this.#firstSeen(bytes))
    const header = out.at
    entries.begin(asBuffer(line.bytes), line.start, line.end)
    if (!labels.metadata) {
      entries.end(header)
      return undefined
    }
    const metadata = out.at
    out.recount()
    this.#metadata(bytes, shared, target, out)
    const problem = this.#excess(out)
    if (problem !== undefined) {
      if (!limits.truncate) return problem
      out.at = metadata
      this.#reduced(bytes, shared, target, out)
    }
    entries.end(header)
    return undefined
  }

  #metadata(bytes: Buffer, shared: Metadata, target: Target, out: MetadataWriter): void {
    const reader = this.#reader
    const { attributesStart, attributesEnd } = reader
    if (attributesEnd > attributesStart) {
      out.attributes(bytes, attributesStart, attributesEnd, attributeTags.logRecord, skippedOf(target, reader))
    }
    putFields(out, reader, bytes)
    if (shared.entries > 0) out.written(shared.bytes, shared.entries, shared.size)
    const { extra } = target
    if (extra.entries > 0) out.written(extra.bytes, extra.entries, extra.size)
  }

  #excess({ entries, size }: MetadataWriter): Omission | undefined {
    const { metadataEntries, metadataSize } = this.#settings.limits
    if (metadataSize > 0 && size > metadataSize) return 'structured_metadata_too_large'
    return metadataEntries > 0 && entries > metadataEntries ? 'structured_metadata_too_many' : undefined
  }

  /** As much as Loki takes: the record's own fields, then what is shared, then as many of its attributes as fit. */
  #reduced(bytes: Buffer, shared: Metadata, target: Target, out: MetadataWriter): void {
    const { metadataEntries, metadataSize } = this.#settings.limits
    const reader = this.#reader
    out.recount()
    // Room for the number of those left out.
    out.maxEntries = metadataEntries > 0 ? metadataEntries - 1 : Infinity
    out.maxSize = metadataSize > 0 ? metadataSize - 48 : Infinity
    const { dropped } = reader
    reader.dropped = 0
    putFields(out, reader, bytes)
    out.copied(shared.bytes)
    out.copied(target.extra.bytes)
    out.attributes(
      bytes,
      reader.attributesStart,
      reader.attributesEnd,
      attributeTags.logRecord,
      skippedOf(target, reader),
    )
    out.maxEntries = Infinity
    out.maxSize = Infinity
    putDropped(out, dropped + out.left)
  }

  /** The body as text. */
  #line(): Range {
    const { bodyBytes, bodyStart, bodyEnd } = this.#reader
    const line = this.#range
    if (bodyStart === bodyEnd) {
      line.set(bodyBytes, bodyStart, bodyEnd)
      return line
    }
    if (valueKind(bodyBytes, bodyStart, bodyEnd, line) !== TEXT) {
      const content = Buffer.from(lokiText(bodyBytes, bodyStart, bodyEnd))
      line.set(content, 0, content.length)
    }
    return line
  }

  #firstSeen(bytes: Buffer): number {
    let seen = this.#seen.get(bytes)
    if (seen === undefined) this.#seen.set(bytes, (seen = this.#now()))
    return seen
  }
}

/** One request in the making. */
class Request implements Pushed {
  readonly entries: Entries
  readonly targets: Targets
  readonly omitted = new Map<Omission, number>()
  readonly demotedNames = new Set<string>()
  demoted = 0

  /** `now`, in milliseconds since the epoch, is the time of what has none of its own. */
  constructor(settings: PushSettings, choice: StreamChoice, out: MetadataWriter, items: number) {
    this.targets = new Targets(settings.record, choice, settings.labels.metadata)
    this.entries = new Entries(out, items, this.targets.streams)
  }

  omit(reason: Omission): void {
    this.omitted.set(reason, (this.omitted.get(reason) ?? 0) + 1)
  }

  demote(names: readonly string[]): void {
    this.demoted++
    for (const name of names) this.demotedNames.add(name)
  }
}

const eventName: Skipped = [Buffer.from('event_name')]

/** Attributes that are not written: those that are labels, and one with the name of a field that is set. */
function skippedOf({ skipped }: Target, { eventStart, eventEnd }: LogRecordReader): Skipped {
  if (eventStart === eventEnd) return skipped
  return skipped.length === 0 ? eventName : [...skipped, ...eventName]
}

/** Cuts a line to `most` bytes, between two characters, and says so at its end. */
function truncate(line: Range, most: number): void {
  const { start } = line
  const marker = Buffer.from(` [cut from ${line.end - start} bytes]`)
  let end = start + Math.max(0, most - marker.length)
  while (end > start && (line.bytes[end] & 0xc0) === 0x80) end--
  const short = Buffer.concat([line.bytes.subarray(start, end), marker]).subarray(0, most)
  line.set(short, 0, short.length)
}

/** `ItemCursor.scope`, quick where scope and items stand as all senders write them. */
function findScope(cursor: ItemCursor, out: Range): boolean {
  const { bytes, scopeStart, scopeEnd } = cursor
  const length = bytes[scopeStart + 1]
  if (bytes[scopeStart] !== 0x0a || length > 0x7f) return cursor.scope(out)
  const end = scopeStart + 2 + length
  let at = end
  while (at + 2 < scopeEnd && bytes[at] === 0x12 && bytes[at + 1] > 0x7f && bytes[at + 2] < 0x80) {
    at += 3 + ((bytes[at + 1] & 0x7f) | (bytes[at + 2] << 7))
  }
  if (at !== scopeEnd) return cursor.scope(out)
  out.set(bytes, scopeStart + 2, end)
  return true
}
