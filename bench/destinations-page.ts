/** Reads a scrape page as Prometheus does, and counts what is on it. */
import { otherBuckets, senders } from './destinations-load.ts'

/** What was found on a page. */
export interface Page {
  /** Its bytes as text. */
  readonly bytes: number
  /** Samples, but those about targets and scopes. */
  readonly samples: number
  /** Labels of a sample on average. */
  readonly labels: number
  /** Samples that should show a value that was sent last, and do not. */
  readonly stale: number
}

// What Prometheus 3 asks for unless it wants protobuf.
const accept =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,' +
  'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'

/** Reads the page; with `last`, the value that each sender sent last, it is looked into. */
export async function readPage(port: number, last?: readonly number[]): Promise<Page> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept, 'accept-encoding': 'gzip' } })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`the page was answered with ${answer.status}: ${text.slice(0, 500)}`)
  return last === undefined ? { bytes: text.length, samples: 0, labels: 0, stale: 0 } : pageOf(text, last)
}

/** Counts a page in text form. */
export function pageOf(text: string, last: readonly number[]): Page {
  let samples = 0
  let stale = 0
  let labels = 0
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#') || /^(target_info|otel_scope_info)\b/.test(line)) continue
    const [, name, inside, value] = /^([\w:]+)\{(.*)\} (\S+)/.exec(line) ?? []
    const sender = Number(/\bjob="svc-(\d+)-/.exec(inside ?? '')?.[1])
    if (!(sender < senders)) throw new Error(`no sample of this benchmark: ${line}`)
    samples++
    labels += inside.split('",').length
    if (Number(value) !== expectedOf(name, inside, last[sender], Number(value))) stale++
  }
  return { bytes: text.length, samples, labels: labels / Math.max(1, samples), stale }
}

/** What a sample has to show when its sender sent `value` last; some buckets are always the same. */
function expectedOf(name: string, labels: string, value: number, shown: number): number {
  if (/_(total|sum)$/.test(name)) return value
  return name.endsWith('_count') || labels.includes('le="+Inf"') ? value + otherBuckets : shown
}
