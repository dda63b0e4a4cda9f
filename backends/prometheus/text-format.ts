/** Which of Prometheus' page formats a reader is answered in: content negotiation by `Accept`. */
import { type Escaping, escapings } from './text.ts'

/** A format of the page. */
export interface PageFormat {
  readonly kind: 'text' | 'openmetrics' | 'protobuf'
  readonly version: string
  readonly escaping: Escaping
  /** As the answer says it. */
  readonly contentType: string
}

/** What may be answered beside plain text. */
export interface Offered {
  readonly openMetrics: boolean
  readonly protobuf: boolean
}

interface Wanted {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  readonly q: number
}

/** What every reader understands. */
export const plainText: PageFormat = textFormat('0.0.4', undefined)

function textFormat(version: string, escaping: Escaping | undefined): PageFormat {
  const said = escaping === undefined && version === '0.0.4' ? '' : `; escaping=${escaping ?? 'underscores'}`
  return {
    kind: 'text',
    version,
    escaping: escaping ?? 'underscores',
    contentType: `text/plain; version=${version}; charset=utf-8${said}`,
  }
}

function openMetricsFormat(version: string, escaping: Escaping | undefined): PageFormat {
  const said = escaping === undefined && version === '0.0.1' ? '' : `; escaping=${escaping ?? 'underscores'}`
  return {
    kind: 'openmetrics',
    version,
    escaping: escaping ?? 'underscores',
    contentType: `application/openmetrics-text; version=${version}; charset=utf-8${said}`,
  }
}

const protobufType = 'application/vnd.google.protobuf'
const messageType = 'io.prometheus.client.MetricFamily'

function protobufFormat(escaping: Escaping | undefined): PageFormat {
  return {
    kind: 'protobuf',
    version: '',
    escaping: escaping ?? 'underscores',
    contentType: `${protobufType}; proto=${messageType}; encoding=delimited; escaping=${escaping ?? 'underscores'}`,
  }
}

/** The format for a reader that sends `accept`: what it likes best of what is offered; plain text if it likes nothing. */
export function pageFormat(accept: string | undefined, offered: Offered): PageFormat {
  // Of what is liked equally, what stands first.
  for (const wanted of wantedOf(accept ?? '').toSorted((a, b) => b.q - a.q)) {
    const format = wanted.q > 0 ? formatFor(wanted, offered) : undefined
    if (format !== undefined) return format
  }
  return plainText
}

function formatFor({ type, parameters }: Wanted, offered: Offered): PageFormat | undefined {
  const version = parameters.get('version')
  const escaping = escapings.find(one => one === parameters.get('escaping'))
  switch (type) {
    case protobufType: {
      const fits = parameters.get('proto') === messageType && parameters.get('encoding') === 'delimited'
      return offered.protobuf && fits ? protobufFormat(escaping) : undefined
    }
    case 'application/openmetrics-text': {
      if (!offered.openMetrics) return undefined
      if (version === '1.0.0') return openMetricsFormat(version, escaping)
      return version === undefined || version === '0.0.1' ? openMetricsFormat('0.0.1', escaping) : undefined
    }
    case 'text/plain':
      if (version === '1.0.0') return textFormat(version, escaping)
      return version === undefined || version === '0.0.4' ? textFormat('0.0.4', escaping) : undefined
    case 'text/*':
    case '*/*':
      return textFormat('0.0.4', escaping)
    default:
      return undefined
  }
}

function wantedOf(accept: string): Wanted[] {
  return accept.split(',').map(part => {
    const [type, ...rest] = part.split(';').map(text => text.trim())
    const parameters = new Map(
      rest.map((text): [string, string] => {
        const at = text.indexOf('=')
        const value = at < 0 ? '' : text.slice(at + 1).trim()
        return [text.slice(0, Math.max(at, 0)).trim().toLowerCase(), value.replace(/^"(.*)"$/, '$1')]
      }),
    )
    return { type: type.toLowerCase(), parameters, q: weight(parameters.get('q')) }
  })
}

/** What is no number between 0 and 1 is as if it was not there. */
function weight(text: string | undefined): number {
  return text !== undefined && /^(?:0(?:\.\d*)?|1(?:\.0*)?)$/.test(text) ? Number(text) : 1
}

/** Whether the reader takes gzip, by its `Accept-Encoding`. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  const coding = (name: string) => wantedOf(acceptEncoding ?? '').find(({ type }) => type === name)?.q
  return (coding('gzip') ?? coding('x-gzip') ?? coding('*') ?? 0) > 0
}
