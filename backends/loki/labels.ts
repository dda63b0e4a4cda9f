/** Labels of Loki streams, and what of a resource goes with each of its entries instead. */
import { AttributeWalk, attributeTags } from '../../proto/attributes.ts'
import type { Group } from '../../proto/group.ts'
import { byName, type Label, labelsText, lokiName } from './names.ts'
import { MetadataWriter } from './metadata.ts'
import type { MetadataNames } from './metadata-names.ts'
import { lokiText } from './text.ts'
import { Remembered } from '../../proto/remembered.ts'
import { MAP, Range, readKeyValue, text, valueKind } from '../../proto/values.ts'
import { Cursor, maxDepth, WireError } from '../../proto/wire.ts'

/** What becomes a label. */
export interface LabelSettings {
  /** Resource attributes, by their names in OpenTelemetry. */
  readonly resourceAttributes: readonly string[]
  /** The same labels on every stream. */
  readonly fixed: Readonly<Record<string, string>>
  /** Whether what is no label goes with the entries. */
  readonly metadata: boolean
}

/** Labels that Loki takes as the name of a service where `service.name` is missing (its `discover_service_name`). */
const serviceLabels = new Set([
  'service',
  'app',
  'application',
  'app_name',
  'name',
  'app_kubernetes_io_name',
  'container',
  'container_name',
  'k8s_container_name',
  'component',
  'workload',
  'job',
  'k8s_job_name',
])
const serviceAttribute = 'service.name'
/** The label every stream has. */
export const serviceName = 'service_name'
/** Its value where nothing tells it. */
export const unknownService = 'unknown_service'

/** Most labels of a stream besides `service_name`, as Loki is set by default; bytes of a name and of a value. */
export const mostLabels = 15
const longestName = 1024
const longestValue = 2048

/** Labels with the text that names their stream. */
export class LabelSet {
  readonly labels: readonly Label[]
  readonly text: string

  constructor(labels: readonly Label[]) {
    this.labels = labels.toSorted(byName)
    this.text = labelsText(this.labels)
  }
}

/** Entries of structured metadata as they are written. */
export interface Metadata {
  readonly bytes: Uint8Array
  readonly entries: number
  readonly size: number
}

/** What all entries of one resource share. */
export interface ResourceFacts {
  readonly set: LabelSet
  readonly rest: Metadata
}

/** Nothing written. */
export const noMetadata: Metadata = { bytes: new Uint8Array(0), entries: 0, size: 0 }

/** The labels as entries of structured metadata. */
export function metadataOf(labels: readonly Label[]): Metadata {
  if (labels.length === 0) return noMetadata
  const writer = new MetadataWriter(256, undefined)
  for (const { name, value } of labels) {
    const bytes = Buffer.from(value)
    writer.pair(name, bytes, 0, bytes.length)
  }
  return taken(writer)
}

function taken(writer: MetadataWriter): Metadata {
  const { entries, size } = writer
  return entries === 0 ? noMetadata : { bytes: writer.done(), entries, size }
}

/** Reads labels and metadata of resources; those it saw last it knows by their bytes. */
export class ResourceReader {
  readonly #settings: LabelSettings
  readonly #names: readonly Buffer[]
  readonly #met: MetadataNames
  readonly #known = new Remembered<ResourceFacts>(mostKnown)

  /** `met`: names of structured metadata that were met before. */
  constructor(settings: LabelSettings, met: MetadataNames) {
    this.#met = met
    this.#settings = settings
    const { resourceAttributes } = settings
    // Loki makes `service_name` in any case; better of the name that there is.
    const all = resourceAttributes.includes(serviceAttribute)
      ? resourceAttributes
      : [serviceAttribute, ...resourceAttributes]
    this.#names = all.map(name => Buffer.from(name))
  }

  /** @throws WireError where the resource's bytes are none */
  read({ resource, resourceStart, resourceEnd }: Group): ResourceFacts {
    const key = resource.toString('latin1', resourceStart, resourceEnd)
    let facts = this.#known.get(key)
    if (facts === undefined) {
      facts = this.#make(resource, resourceStart, resourceEnd)
      this.#known.keep(key, facts)
    }
    return facts
  }

  #make(bytes: Buffer, start: number, end: number): ResourceFacts {
    const found = [...this.#labels(bytes, start, end).values()]
    const { fixed } = this.#settings
    const labels = new Map(Object.entries(fixed))
    const demoted: Label[] = []
    // What does not fit goes with the entries; the labels that are named first stay.
    for (const label of found.toSorted((a, b) => a.rank - b.rank)) {
      const { name, value } = label
      if (name in fixed || !fits(label) || (name !== serviceName && counted(labels) >= mostLabels)) demoted.push(label)
      else labels.set(name, value)
    }
    if (!labels.has(serviceName)) labels.set(serviceName, discovered(found) ?? unknownService)
    const set = new LabelSet([...labels].map(([name, value]) => ({ name, value })))
    return { set, rest: this.#settings.metadata ? this.#rest(bytes, start, end, demoted) : noMetadata }
  }

  /** Chosen attributes by the names of their labels, in the order of the attributes. Empty ones are no labels in Loki. */
  #labels(bytes: Buffer, start: number, end: number): Map<string, Found> {
    const found = new Map<string, Found>()
    const key = new Range()
    const value = new Range()
    const walk = new AttributeWalk(bytes, start, end, attributeTags.resource)
    while (walk.next()) {
      readKeyValue(bytes, walk.from, walk.to, key, value)
      const rank = this.#rank(key)
      if (rank < 0) continue
      const name = lokiName(text(key.bytes, key.start, key.end))
      eachText(name, value.bytes, value.start, value.end, 0, (inner, content) => {
        if (content !== '') found.set(inner, { name: inner, value: content, rank })
      })
    }
    return found
  }

  #rank({ bytes, start, end }: Range): number {
    const length = end - start
    return this.#names.findIndex(name => name.length === length && name.compare(bytes, start, end) === 0)
  }

  #rest(bytes: Buffer, start: number, end: number, demoted: readonly Label[]): Metadata {
    const writer = new MetadataWriter(1024, undefined, this.#met)
    writer.attributes(bytes, start, end, attributeTags.resource, this.#names)
    for (const { name, value } of demoted) {
      const content = Buffer.from(value)
      writer.pair(name, content, 0, content.length)
    }
    return taken(writer)
  }
}

/** How many resources are known by their bytes. */
const mostKnown = 1000

interface Found extends Label {
  /** Place in the list of chosen attributes. */
  readonly rank: number
}

/** The first attribute whose label Loki takes as the name of a service. */
function discovered(found: readonly Label[]): string | undefined {
  return found.find(label => serviceLabels.has(label.name) && fits(label))?.value
}

/** Whether Loki takes it as a label. */
export function fits({ name, value }: Label): boolean {
  return name.length <= longestName && Buffer.byteLength(value) <= longestValue
}

/** Labels of the number that Loki limits. */
function counted(labels: ReadonlyMap<string, string>): number {
  return labels.size - (labels.has(serviceName) ? 1 : 0)
}

/** Calls `visit` with a value as text, or with those of a map. */
function eachText(
  name: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
  visit: (name: string, value: string) => void,
): void {
  if (depth > maxDepth) throw new WireError(`values nested more than ${maxDepth} deep`)
  const range = new Range()
  if (valueKind(bytes, start, end, range) !== MAP) {
    visit(name, lokiText(bytes, start, end))
    return
  }
  const cursor = new Cursor(range.bytes, range.start, range.end)
  const key = new Range()
  const value = new Range()
  while (cursor.at < range.end) {
    const tag = cursor.tag()
    if (tag !== 0x0a) {
      cursor.skip(tag)
      continue
    }
    const from = cursor.length()
    const to = cursor.at + from
    readKeyValue(range.bytes, cursor.at, to, key, value)
    cursor.at = to
    const inner = lokiName(`${name}_${text(key.bytes, key.start, key.end)}`)
    eachText(inner, value.bytes, value.start, value.end, depth + 3, visit)
  }
}
