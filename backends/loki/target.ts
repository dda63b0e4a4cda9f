/** Which stream a log record goes to, and what goes with it because it is no label there. */
import { attributeTags, findAttribute } from '../../proto/attributes.ts'
import { type Label, lokiName } from './names.ts'
import { fits, LabelSet, type Metadata, metadataOf, mostLabels, noMetadata, type ResourceFacts } from './labels.ts'
import type { Skipped } from './metadata.ts'
import type { LogRecordReader } from './record.ts'
import { lokiText } from './text.ts'
import { LIST, MAP, NOTHING, Range, text, valueKind } from '../../proto/values.ts'

/** Says which labels a stream may have: those given, or fewer where there are too many streams. */
export interface StreamChoice {
  choose(set: LabelSet): LabelSet
}

/** What of a record, besides its resource, becomes a label. */
export interface RecordLabels {
  /** Attributes, by their names in OpenTelemetry. */
  readonly attributes: readonly string[]
  /** `level`, by the severity. */
  readonly severity: boolean
}

/** One stream of a request: its labels, and runs of entries (the first, and the one behind the last). */
export class Stream {
  readonly set: LabelSet
  readonly runs: number[] = []
  bytes = 0
  sorted = true
  #seconds = 0
  #nanos = 0

  constructor(set: LabelSet) {
    this.set = set
  }

  /** Takes entry `i`, which is `size` bytes long. */
  take(i: number, size: number, seconds: number, nanos: number): void {
    const { runs } = this
    const last = runs.length - 1
    if (last > 0 && runs[last] === i) runs[last] = i + 1
    else runs.push(i, i + 1)
    this.bytes += size
    if (seconds < this.#seconds || (seconds === this.#seconds && nanos < this.#nanos)) this.sorted = false
    else {
      this.#seconds = seconds
      this.#nanos = nanos
    }
  }
}

/** Where a record goes. */
export interface Target {
  readonly stream: Stream
  /** Attributes of the record that are labels, so that they are not written twice. */
  readonly skipped: Skipped
  /** Labels it does not have because there would be too many streams. */
  readonly extra: Metadata
  /** Their names. */
  readonly demoted: readonly string[]
}

/** Names of levels, by severity number: four of each. */
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']
/** Words that senders write where they give no number. */
const words: ReadonlyMap<string, string> = new Map([
  ...levels.map(level => [level, level] as const),
  ['information', 'info'],
  ['warning', 'warn'],
  ['err', 'error'],
  ['critical', 'fatal'],
])

interface Chosen extends Label {
  readonly key: Buffer
}

/** Finds the targets of the records of one request. */
export class Targets {
  readonly streams = new Map<string, Stream>()
  readonly #labels: RecordLabels
  readonly #choice: StreamChoice
  readonly #attributes: readonly { readonly key: Buffer; readonly name: string }[]
  readonly #metadata: boolean
  readonly #range = new Range()
  #facts: ResourceFacts | undefined
  #plain: Target | undefined
  #variants = new Map<string, Target>()

  /** @param metadata whether labels that a stream may not have go with the entries */
  constructor(labels: RecordLabels, choice: StreamChoice, metadata: boolean) {
    this.#labels = labels
    this.#metadata = metadata
    this.#choice = choice
    this.#attributes = labels.attributes.map(key => ({ key: Buffer.from(key), name: lokiName(key) }))
  }

  /** Goes on to the next resource. */
  enter(facts: ResourceFacts): void {
    this.#facts = facts
    this.#plain = undefined
    if (this.#variants.size > 0) this.#variants = new Map()
  }

  /** Where the record goes that `reader` stands at. @throws WireError where its attributes cannot be read */
  of(reader: LogRecordReader, bytes: Buffer): Target {
    const { severity } = this.#labels
    if (!severity && this.#attributes.length === 0) return (this.#plain ??= this.#target([], ''))
    const level = severity ? levelOf(reader, bytes) : ''
    if (this.#attributes.length === 0) return this.#variant(level, [], level)
    const chosen = this.#chosen(reader, bytes)
    return this.#variant(chosen.map(({ name, value }) => `${name}=${value}`).join('\0') + `\0${level}`, chosen, level)
  }

  #variant(key: string, chosen: readonly Chosen[], level: string): Target {
    let target = this.#variants.get(key)
    if (target === undefined) this.#variants.set(key, (target = this.#target(chosen, level)))
    return target
  }

  #chosen(reader: LogRecordReader, bytes: Buffer): Chosen[] {
    const chosen: Chosen[] = []
    const range = this.#range
    for (const { key, name } of this.#attributes) {
      const { attributesStart, attributesEnd } = reader
      if (!findAttribute(bytes, attributesStart, attributesEnd, attributeTags.logRecord, key, range)) continue
      const { bytes: content, start, end } = range
      const kind = valueKind(content, start, end, range.other)
      if (kind === MAP || kind === LIST || kind === NOTHING) continue
      const value = lokiText(content, start, end)
      if (value !== '' && fits({ name, value })) chosen.push({ key, name, value })
    }
    return chosen
  }

  #target(chosen: readonly Chosen[], level: string): Target {
    const facts = this.#facts
    if (facts === undefined) throw new TypeError('no resource was entered')
    const wanted = new Map(facts.set.labels.map(({ name, value }) => [name, value]))
    for (const { name, value } of chosen) if (wanted.size <= mostLabels || wanted.has(name)) wanted.set(name, value)
    if (level !== '' && wanted.size <= mostLabels) wanted.set('level', level)
    const added = chosen.length > 0 || level !== ''
    const set = added ? new LabelSet([...wanted].map(([name, value]) => ({ name, value }))) : facts.set
    const allowed = this.#choice.choose(set)
    const has = ({ name, value }: Label) => allowed.labels.some(label => label.name === name && label.value === value)
    const missing = added || allowed !== set ? facts.set.labels.filter(label => !has(label)) : []
    return {
      stream: this.#stream(allowed),
      skipped: chosen.filter(has).map(({ key }) => key),
      extra: this.#metadata ? metadataOf(missing) : noMetadata,
      demoted: allowed === set ? [] : set.labels.filter(label => !has(label)).map(({ name }) => name),
    }
  }

  #stream(set: LabelSet): Stream {
    let stream = this.streams.get(set.text)
    if (stream === undefined) this.streams.set(set.text, (stream = new Stream(set)))
    return stream
  }
}

function levelOf({ severity, severityStart, severityEnd }: LogRecordReader, bytes: Buffer): string {
  if (severity > 0 && severity <= 24) return levels[(severity - 1) >> 2]
  if (severityEnd - severityStart > 16 || severityEnd === severityStart) return ''
  return words.get(text(bytes, severityStart, severityEnd).toLowerCase()) ?? ''
}
