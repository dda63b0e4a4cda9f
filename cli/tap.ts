/** `kymo tap`: live data at a place of a Kymo that runs. Items go to standard output, what is told of them to standard error. */
import { once } from 'node:events'
import { exitCodes } from '../service/process.ts'
import type { TapItemDocument, TapNoteDocument } from '../service/tap-stream.ts'
import { AskError, download } from './admin-client.ts'
import type { TapFormat } from './options.ts'
import { orTell } from './or-tell.ts'
import { noteText, TapText } from './tap-text.ts'

/** Where to look, at what, and how to write it. The names are those of `/v1/tap`. */
export interface TapOptions {
  readonly admin: string
  readonly in?: boolean | undefined
  readonly out?: boolean | undefined
  readonly pipeline?: string | undefined
  readonly where?: readonly string[] | undefined
  readonly trace?: string | undefined
  readonly limit?: string | undefined
  readonly rate?: string | undefined
  readonly for?: string | undefined
  readonly format: TapFormat
}

/** Looks until the tap ends, or nobody reads any more; resolves to the exit code. */
export function tap(place: string | undefined, options: TapOptions): Promise<number> {
  return orTell(() => look(place, options))
}

async function look(place: string | undefined, options: TapOptions): Promise<number> {
  const { stdout, stderr } = process
  let isRead = true
  const gone = (): void => void (isRead = false)
  stdout.once('error', gone)
  try {
    const write = writing(options.format)
    for await (const line of linesOf(download(options.admin, pathOf(place, options)))) {
      // What our own admin server says; the client has checked that it is one.
      const told = JSON.parse(line) as TapItemDocument | TapNoteDocument
      const text = 'note' in told ? '' : write(told, line)
      if ('note' in told) stderr.write(noteText(told))
      // Whoever reads slowly here reads slowly there, which leaves out and counts what is too much.
      else if (!stdout.write(text) && isRead) await Promise.race([once(stdout, 'drain'), once(stdout, 'close')])
      if (!isRead) return exitCodes.clean
      if ('note' in told && told.why === 'fault') return exitCodes.failed
    }
    return exitCodes.clean
  } catch (error) {
    if (isRead) throw error
    return exitCodes.clean
  } finally {
    stdout.off('error', gone)
  }
}

/** Pipelines are called by their signal, and no component is. */
const isPipeline = (place: string): boolean => /^(?:traces|metrics|logs)(?:\/|$)/.test(place)

function pathOf(place: string | undefined, options: TapOptions): string {
  if (options.in === true && options.out === true) {
    throw new AskError('--in and --out are two places: give one; without both a processor shows what it changes')
  }
  const query = new URLSearchParams()
  if (place !== undefined) query.set(isPipeline(place) ? 'pipeline' : 'component', place)
  if (options.in === true || options.out === true) query.set('side', options.in === true ? 'in' : 'out')
  for (const name of ['pipeline', 'trace', 'limit', 'rate', 'for'] as const) {
    const value = options[name]
    if (value !== undefined) query.set(name, value)
  }
  for (const one of options.where ?? []) query.append('where', one)
  return `/v1/tap?${query.toString()}`
}

/** What is written for one item. */
function writing(format: TapFormat): (item: TapItemDocument, line: string) => string {
  if (format === 'json') return (_, line) => `${line}\n`
  // What is no OTLP is none in any form.
  if (format === 'otlp') return ({ request }) => (request === undefined ? '' : `${JSON.stringify(request)}\n`)
  const text = new TapText()
  return item => text.of(item)
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
