/** The spans of one resource group: read one at a time, with what tells them apart from each other. */
import { TraceIndex } from './traces-index.ts'
import { concepts, type KeyTable, spanKeys } from './traces-keys.ts'
import { type OwnNames, SpanFacts } from './traces-names.ts'
import { normalService } from './traces-normalise.ts'
import { type CommonTags, TraceResource, TraceResources } from './traces-resource.ts'
import { CONSUMER, SERVER, SpanReader } from './traces-span.ts'
import type { Group } from '../../proto/group.ts'
import { asBuffer, Range } from '../../proto/values.ts'
import { ItemCursor } from '../../proto/views.ts'
import { WireError } from '../../proto/wire.ts'

/** How spans are taken, for traces and for stats alike. */
export interface SpanRules {
  /** Names of operations that are the user's own; undefined: all by Datadog's rules. */
  readonly names: OwnNames | undefined
  /** Roots, server and consumer spans are at the top of a service; otherwise spans whose parent is not of the same. */
  readonly topLevelByKind: boolean
}

/** How names of the user's own were configured; undefined where they were not. */
export function ownNames(spanName: boolean, remappings: Readonly<Record<string, string>>): OwnNames | undefined {
  const known = new Map(Object.entries(remappings))
  return spanName || known.size > 0 ? { spanName, remappings: known } : undefined
}

const noBytes = Buffer.alloc(0)
const serviceNameKey = concepts.serviceName[0]
const serviceNameBytes = Buffer.from('service.name')

/** Goes through groups with the same few objects for all spans. */
export class GroupSpans {
  readonly index = new TraceIndex()
  readonly span: SpanReader
  readonly facts: SpanFacts
  resource: TraceResource
  readonly #byKind: boolean
  readonly #resources: TraceResources
  readonly #items = new ItemCursor()
  readonly #scope = new Range()
  #bytes: Buffer = noBytes
  #common: CommonTags[] = []
  /** By span, where spans say themselves what service they are of. */
  #services: string[] | undefined

  constructor(rules: SpanRules, table: KeyTable = spanKeys) {
    this.#byKind = rules.topLevelByKind
    this.#resources = new TraceResources(table)
    this.resource = new TraceResource(noBytes, table)
    this.span = new SpanReader(table)
    this.facts = new SpanFacts(this.span, this.resource.attributes, rules.names !== undefined)
  }

  /** Lets go of what was read, which may be large. */
  clear(): void {
    this.span.clear()
    this.#bytes = noBytes
    this.#common = []
    this.facts.bytes = noBytes
  }

  /** Takes the spans of a group; those that cannot be taken are told to `leave`. @throws WireError for a resource or scope */
  load(group: Group, leave: (reason: string) => void): void {
    this.resource = this.#resources.of(group)
    this.facts.resource = this.resource.attributes
    this.#bytes = group.bytes
    this.#common = []
    this.index.clear()
    const items = this.#items.set(group)
    const scope = this.#scope
    while (items.nextScope()) {
      if (!items.scope(scope)) scope.set(noBytes, 0, 0)
      this.#common.push(this.resource.common(asBuffer(scope.bytes), scope.start, scope.end))
      while (items.nextItem()) {
        try {
          const unfit = this.index.add(items.bytes, items.start, items.end, this.#common.length - 1)
          if (unfit !== undefined) leave(unfit)
        } catch (error) {
          if (!(error instanceof WireError)) throw error
          leave('malformed')
        }
      }
    }
    this.#findServices(group)
  }

  /** Spans of another service than their resource's are rare: whether there are any is told by a search through the bytes. */
  #findServices({ bytes, start, end, resourceField, resourceFieldEnd }: Group): void {
    this.#services = undefined
    let at = bytes.indexOf(serviceNameBytes, start)
    if (at >= resourceField && at < resourceFieldEnd) at = bytes.indexOf(serviceNameBytes, resourceFieldEnd)
    if (at < 0 || at >= end) return
    const services: string[] = []
    for (let i = 0; i < this.index.count; i++) {
      try {
        this.read(i)
        services.push(this.#ownService() ?? this.resource.service)
      } catch (error) {
        if (!(error instanceof WireError)) throw error
        // It is left out when it is read again.
        services.push(this.resource.service)
      }
    }
    this.#services = services
  }

  /** The service that the span says it is of. */
  #ownService(): string | undefined {
    const { attributes } = this.span
    const i = attributes.find(serviceNameKey)
    const own = i < 0 ? '' : attributes.text(i)
    return own === '' ? undefined : normalService(own)
  }

  /** Reads a span, which `span` and `facts` then have. @throws WireError */
  read(i: number): void {
    this.span.load(this.#bytes, this.index.starts[i], this.index.ends[i])
    this.facts.scope = this.common(i).scope
  }

  /** The tags it has of its resource and scope. */
  common(i: number): CommonTags {
    return this.#common[this.index.scopes[i]]
  }

  /** Its service, where that is not its resource's for all. */
  ownService(i: number): string | undefined {
    return this.#services?.[i]
  }

  /** Whether the span that was read is at the top of a service. */
  isTopLevel(i: number): boolean {
    const { index } = this
    const { kind } = this.span
    if (this.#byKind) return index.isRoot(i) || kind === SERVER || kind === CONSUMER
    const parent = index.parent(i)
    if (parent < 0) return true
    const services = this.#services
    return services !== undefined && services[parent] !== services[i]
  }
}
