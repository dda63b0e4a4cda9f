/** What all logs of one resource and scope have in common, as JSON that is made once. */
import { attributeTags } from '../../proto/attributes.ts'
import { originOfAttributes } from './host.ts'
import { attributeTexts, tagsOf } from './tags.ts'
import { reserved } from './log-names.ts'
import { KeyTable } from './traces-keys.ts'
import { Remembered } from '../../proto/remembered.ts'
import { asBuffer } from '../../proto/values.ts'

/** A message in its bytes. */
interface Place {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** What `ddsource` says of logs that do not name their source in `datadog.log.source`: Datadog's word for those of OTLP. */
const defaultSource = 'otlp_log_ingestion'

/** Fields of an entry; each ends with a comma. */
export interface Block {
  /** All of them, for entries that have no others of their own. */
  readonly whole: Buffer
  /** Attributes of the resource and the scope. */
  readonly attributes: Buffer
  readonly hostname: Buffer
  readonly service: Buffer
  readonly source: Buffer
  /** Without the closing quote. */
  readonly tags: Buffer
  readonly hasTags: boolean
  /** The names of the attributes. */
  readonly keys: KeyTable
}

const field = (key: string, value: string): string => `${JSON.stringify(key)}:${JSON.stringify(value)},`

/** How many are remembered. */
const most = 256

/** Blocks by the bytes they are made of. */
export class Blocks {
  readonly #hostname: string
  readonly #blocks = new Remembered<Block>(most)

  /** `hostname` is that of resources that do not name theirs. */
  constructor(hostname: string) {
    this.#hostname = hostname
  }

  /** @throws WireError */
  of(resource: Place, scope: Place): Block {
    const key = `${textOf(resource)}\0${textOf(scope)}`
    let block = this.#blocks.get(key)
    if (block === undefined) {
      block = this.#make(resource, scope)
      this.#blocks.keep(key, block)
    }
    return block
  }

  #make(resource: Place, scope: Place): Block {
    const ofResource = attributeTexts(resource.bytes, resource.start, resource.end, attributeTags.resource)
    const ofScope = attributeTexts(scope.bytes, scope.start, scope.end, attributeTags.scope)
    const { service, tags } = tagsOf(ofResource)
    const origin = originOfAttributes(ofResource)
    const hostname = origin === undefined ? this.#hostname : origin.kind === 'host' ? origin.name : ''
    const attributes = new Map<string, string>()
    for (const [key, value] of ofResource) attributes.set(reserved.has(key) ? `otel.${key}` : key, value)
    for (const [key, value] of ofScope) attributes.set(reserved.has(key) ? `otel.${key}` : key, value)
    const parts = {
      attributes: Array.from(attributes, ([key, value]) => field(key, value)).join(''),
      hostname: hostname === '' ? '' : field('hostname', hostname),
      service: service === '' ? '' : field('service', service),
      source: field('ddsource', ofResource.get('datadog.log.source') || defaultSource),
      tags: `"ddtags":${JSON.stringify(tags.join(',')).slice(0, -1)}`,
    }
    return {
      whole: Buffer.from(`${parts.attributes}${parts.hostname}${parts.service}${parts.source}${parts.tags}",`),
      attributes: Buffer.from(parts.attributes),
      hostname: Buffer.from(parts.hostname),
      service: Buffer.from(parts.service),
      source: Buffer.from(parts.source),
      tags: Buffer.from(parts.tags),
      hasTags: tags.length > 0,
      keys: new KeyTable([...attributes.keys()]),
    }
  }
}

const textOf = ({ bytes, start, end }: Place): string => asBuffer(bytes).toString('latin1', start, end)
