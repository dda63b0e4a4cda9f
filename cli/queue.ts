/** `kymo queue`: what stands in queues on disk and among dead letters; export and drop it. */
import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { messageOf } from '../core/errors.ts'
import { unreadableKey } from '../service/export-records.ts'
import { exitCodes } from '../service/process.ts'
import { QueryError } from '../service/query.ts'
import type { DeadLetterDocument, QueuesDocument } from '../service/queue-pages.ts'
import { ask, AskError, download } from './admin-client.ts'
import { orTell } from './or-tell.ts'
import { type DirectoryDocument, inspectDirectory, openDirectory } from './queue-directory.ts'
import { deadLettersText, queuesText } from './queue-text.ts'

/** Which records; the names are those of the admin server's pages. */
export interface RangeOptions {
  readonly storage?: string | undefined
  readonly owner?: string | undefined
  readonly reason?: string | undefined
  readonly signal?: string | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly seq?: string | undefined
}

/** Where to look: at a Kymo that runs, or at what one left. */
export interface PlaceOptions {
  readonly admin: string
  readonly directory?: string | undefined
}

/** What `kymo queue ls` is told. */
export interface ListOptions extends PlaceOptions, RangeOptions {
  readonly deadLetters?: boolean | undefined
  readonly limit?: string | undefined
  readonly json?: boolean | undefined
}

/** What `kymo queue export` and `drop` are told. */
export interface MoveOptions extends PlaceOptions, RangeOptions {
  readonly queue?: string | undefined
  readonly deadLetters?: boolean | undefined
  readonly to?: string | undefined
  readonly format?: string | undefined
  readonly yes?: boolean | undefined
}

const rangeNames = ['storage', 'owner', 'reason', 'signal', 'since', 'until', 'seq'] as const

/** What of `options` the pages take. */
export function rangeWords(options: RangeOptions): Record<string, string> {
  const entries = rangeNames.flatMap(name => (options[name] === undefined ? [] : [[name, options[name]] as const]))
  return Object.fromEntries(entries)
}

/** `kymo queue ls`. */
export function listQueues(options: ListOptions): Promise<number> {
  return orTell(async () => {
    const { admin, directory, deadLetters, limit = '100', json, storage } = options
    const words = { ...rangeWords(options), ...(deadLetters ? { limit } : {}) }
    const answer =
      directory === undefined
        ? await ask(admin, `/v1/${deadLetters ? 'dead-letters' : 'queues'}?${new URLSearchParams(words).toString()}`)
        : await listDirectory(directory, deadLetters ? words : undefined)
    // What our own admin server says; the client has checked that it is one.
    if (json) process.stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
    else if (deadLetters) process.stdout.write(deadLettersText(answer as { dead_letters: DeadLetterDocument[] }))
    else process.stdout.write(queuesText(answer as QueuesDocument & Partial<DirectoryDocument>, { storage, directory }))
    return exitCodes.clean
  })
}

async function listDirectory(directory: string, words: Record<string, string> | undefined): Promise<object> {
  if (words === undefined) return inspectDirectory(directory)
  const { queues, close } = await openDirectory(directory)
  try {
    return await queues.listDeadLetters(words)
  } finally {
    await close()
  }
}

function moved({ queue, deadLetters, ...rest }: MoveOptions): Record<string, string> {
  const which = queue === undefined ? {} : { queue }
  if ((queue === undefined) === (deadLetters !== true)) {
    throw new AskError("say which: --queue 'otlp_grpc traces', or --dead-letters; `kymo queue ls` tells what there is")
  }
  return { ...rangeWords(rest), ...which, ...(deadLetters ? { dead_letters: 'true' } : {}) }
}

/** `kymo queue export`. */
export function exportQueue(options: MoveOptions): Promise<number> {
  return orTell(async () => {
    const { admin, directory, to, format = 'json' } = options
    const words = { ...moved(options), format }
    const tally = new Tally(format)
    if (directory === undefined) {
      const path = `/v1/queues/export?${new URLSearchParams(words).toString()}`
      await write(tally.through(download(admin, path)), to)
    } else {
      const { queues, close } = await openDirectory(directory)
      try {
        await write(tally.through(queues.export(words).chunks), to)
      } finally {
        await close()
      }
    }
    process.stderr.write(tally.text(to))
    return exitCodes.clean
  })
}

/** Counts what goes through. */
class Tally {
  bytes = 0
  #lines = 0
  #unreadable = 0
  readonly #isText: boolean
  #isLineStart = true

  constructor(format: string) {
    this.#isText = format === 'json'
  }

  async *through(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.bytes += chunk.length
      if (this.#isText) this.#look(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
      yield chunk
    }
  }

  #look(chunk: Buffer): void {
    const mark = `{"${unreadableKey}"`
    if (this.#isLineStart && chunk.toString('latin1', 0, mark.length) === mark) this.#unreadable++
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
      this.#lines++
      if (chunk.toString('latin1', at + 1, at + 1 + mark.length) === mark) this.#unreadable++
    }
    this.#isLineStart = chunk.at(-1) === 10
  }

  text(to: string | undefined): string {
    const what = this.#isText ? `${this.#lines} requests, ${this.bytes} bytes` : `${this.bytes} bytes`
    const where = to === undefined ? '' : ` to ${to}`
    const odd = `${this.#unreadable} of them are no valid OTLP and stand there as base64; --format protobuf has them as they are\n`
    return `exported ${what}${where}; they are still in the queue, and \`kymo queue drop\` gives them up\n${this.#unreadable > 0 ? odd : ''}`
  }
}

async function write(chunks: AsyncIterable<Uint8Array>, to: string | undefined): Promise<void> {
  // A file that is there is not overwritten: it may be the export of yesterday.
  const file: Writable = to === undefined ? process.stdout : createWriteStream(to, { flags: 'wx', mode: 0o600 })
  try {
    await pipeline(chunks, file, { end: to !== undefined })
  } catch (error) {
    if (error instanceof AskError || error instanceof QueryError) throw error
    throw new AskError(`writing ${to ?? 'to standard output'} failed: ${messageOf(error)}`, { cause: error })
  }
}

/** `kymo queue drop`. */
export function dropQueue(options: MoveOptions): Promise<number> {
  return orTell(async () => {
    const { admin, directory, yes } = options
    const words = moved(options)
    if (yes !== true) {
      throw new AskError('this gives data up for good: add --yes, or keep it first with `kymo queue export`')
    }
    const answer = directory === undefined ? await ask(admin, '/v1/queues/drop', words) : await dropIn(directory, words)
    const { dropped } = answer as { dropped: { records: number; items: number; bytes: number } }
    process.stdout.write(`dropped ${dropped.items} items in ${dropped.records} batches, ${dropped.bytes} bytes\n`)
    return exitCodes.clean
  })
}

async function dropIn(directory: string, words: Record<string, string>): Promise<object> {
  const { queues, close } = await openDirectory(directory)
  try {
    return await queues.drop(words)
  } finally {
    await close()
  }
}
