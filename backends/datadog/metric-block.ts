/** What all metrics of one resource and scope have in common, as bytes that are made once. */
import { attributeTags } from '../../proto/attributes.ts'
import { originOfAttributes } from './host.ts'
import { tagFields } from './point-tags.ts'
import { attributeTexts, tagsOf } from './tags.ts'
import { Remembered } from '../../proto/remembered.ts'
import { asBuffer, encodeField } from '../../proto/values.ts'
import { readText, fieldNamed } from '../../proto/views.ts'

/** A message in its bytes. */
interface Place {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Parts of each series and sketch. */
export interface MetricBlock {
  /** Tells the series of this block from those of others, whatever the order of attributes. */
  readonly identity: string
  readonly hostname: Buffer
  /** The host as a resource of a series. */
  readonly host: Buffer
  readonly seriesTags: Buffer
  readonly sketchTags: Buffer
}

/** What of the configuration blocks depend on. */
export interface BlockSettings {
  /** Host of resources that do not name theirs; empty: none. */
  readonly hostname: string
  readonly resourceAttributes: boolean
  readonly scope: boolean
}

const scopeName = fieldNamed('InstrumentationScope', 'name')
const scopeVersion = fieldNamed('InstrumentationScope', 'version')

/** How many are remembered. */
const most = 256

/** Blocks by the bytes they are made of. */
export class MetricBlocks {
  readonly #settings: BlockSettings
  readonly #blocks = new Remembered<MetricBlock>(most)

  constructor(settings: BlockSettings) {
    this.#settings = settings
  }

  /** @throws WireError */
  of(resource: Place, scope: Place): MetricBlock {
    const key = `${textOf(resource)}\0${this.#settings.scope ? textOf(scope) : ''}`
    let block = this.#blocks.get(key)
    if (block === undefined) {
      block = this.#make(resource, scope)
      this.#blocks.keep(key, block)
    }
    return block
  }

  #make(resource: Place, { bytes, start, end }: Place): MetricBlock {
    const { hostname, resourceAttributes, scope } = this.#settings
    const attributes = attributeTexts(resource.bytes, resource.start, resource.end, attributeTags.resource)
    const origin = originOfAttributes(attributes)
    const host = origin === undefined ? hostname : origin.kind === 'host' ? origin.name : ''
    const tags = new Set(tagsOf(attributes).tags)
    if (resourceAttributes) for (const [key, value] of attributes) tags.add(tag(key, value))
    if (scope) {
      tags.add(tag('instrumentation_scope', readText(bytes, start, end, scopeName)))
      tags.add(tag('instrumentation_scope_version', readText(bytes, start, end, scopeVersion)))
      for (const [key, value] of attributeTexts(bytes, start, end, attributeTags.scope)) tags.add(tag(key, value))
    }
    const sorted = [...tags].sort()
    const resourceField = Buffer.concat([encodeField(0x0a, Buffer.from('host')), encodeField(0x12, Buffer.from(host))])
    return {
      identity: [host, ...sorted].join('\0'),
      hostname: Buffer.from(host),
      host: host === '' ? Buffer.alloc(0) : encodeField(0x0a, resourceField),
      seriesTags: tagFields(0x1a, sorted),
      sketchTags: tagFields(0x22, sorted),
    }
  }
}

/** A tag must not end in a colon. */
const tag = (key: string, value: string): string => `${key}:${value === '' ? 'n/a' : value}`

const textOf = ({ bytes, start, end }: Place): string => asBuffer(bytes).toString('latin1', start, end)
