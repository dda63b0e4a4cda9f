/** `kymo top`: the terminal view of a Kymo that runs. */
import { setTimeout as pause } from 'node:timers/promises'
import { exitCodes } from '../../service/process.ts'
import type { RetryDocument } from '../../service/retry.ts'
import { ask, AskError, NoPageError } from '../admin-client.ts'
import { escaped } from '../format.ts'
import { retryText } from '../retry.ts'
import { look } from './look.ts'
import { type Effect, type Model, press, started } from './model.ts'
import { pageOf } from './page.ts'
import type { TopScreen } from './screen.ts'

/** What it is told. */
export interface TopOptions {
  readonly admin: string
  /** Seconds from one look to the next. */
  readonly every: string
}

/** What of a process it depends on. */
export interface Terminal {
  readonly input: { readonly isTTY?: boolean }
  readonly output: { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Why it cannot be shown there; undefined: it can. */
export function unfit({ input, output, env }: Terminal): string | undefined {
  const instead = 'use `kymo status --watch`, which only writes lines'
  if (output.isTTY !== true || input.isTTY !== true)
    return `kymo top needs a terminal for its screen and its keys (\`kubectl exec -it\` gives one); ${instead}`
  if (env['TERM'] === 'dumb' || env['TERM'] === '')
    return `kymo top needs a terminal that can move its cursor, and TERM is \`${env['TERM']}\`; ${instead}`
  return undefined
}

/** Shows it until somebody quits; resolves to the exit code. */
export async function top({ admin, every }: TopOptions): Promise<number> {
  const seconds = Number(every)
  const why =
    seconds >= 0.5 && seconds <= 3600
      ? unfit({ input: process.stdin, output: process.stdout, env: process.env })
      : '--every takes seconds, from 0.5 to 3600'
  if (why !== undefined) return failed(why)
  const loaded = await import('./screen.ts').catch((error: unknown) => error as NodeJS.ErrnoException)
  if (loaded instanceof Error) {
    if (loaded.code !== 'ERR_MODULE_NOT_FOUND' && loaded.code !== 'ERR_ACCESS_DENIED') throw loaded
    return failed(
      'the file kymo-top.mjs, which ships beside kymo.mjs, is not there or may not be read; use `kymo status --watch`',
    )
  }
  const view = new View(admin)
  await view.run(seconds, onKey =>
    loaded.openScreen({ colors: !process.env['NO_COLOR'], input: process.stdin, output: process.stdout, onKey }),
  )
  return exitCodes.clean
}

function failed(why: string): number {
  process.stderr.write(`${why}\n`)
  return exitCodes.failed
}

/** The model, kept up to date and shown. */
class View {
  #model: Model
  #screen: TopScreen | undefined
  /** Commands that were told, of which the last are told again on the screen that stays. */
  #commands: string[] = []
  readonly #end = new AbortController()

  constructor(admin: string) {
    this.#model = started(admin)
  }

  async run(seconds: number, open: (onKey: (key: string) => void) => TopScreen): Promise<void> {
    const screen = open(key => this.#press(key))
    this.#screen = screen
    const show = (): void => this.#show()
    const quit = (): void => this.#end.abort()
    process.stdout.on('resize', show)
    process.once('SIGTERM', quit).once('SIGHUP', quit)
    try {
      const { signal } = this.#end
      const ended = aborted(signal)
      while (!signal.aborted) {
        const found = await Promise.race([this.#look(), ended])
        if (found !== undefined) this.#change(found)
        await pause(seconds * 1000, undefined, { signal }).catch(() => undefined)
      }
    } finally {
      process.stdout.off('resize', show)
      process.off('SIGTERM', quit).off('SIGHUP', quit)
      await screen.close()
    }
    process.stdout.write(this.#commands.map(text => `${text}\n`).join(''))
  }

  async #look(): Promise<Partial<Model>> {
    try {
      return { look: await look(this.#model.admin), trouble: undefined }
    } catch (error) {
      if (!(error instanceof AskError)) throw error
      return { trouble: error.message }
    }
  }

  #press(key: string): void {
    const { model, effect } = press(this.#model, key)
    if (model.said !== this.#model.said && model.said.startsWith('kymo '))
      this.#commands = [...this.#commands.filter(text => text !== model.said), model.said].slice(-5)
    this.#change(model)
    if (effect !== undefined) this.#do(effect)
  }

  #do(effect: Effect): void {
    if (effect.do === 'quit') this.#end.abort()
    else
      void retried(this.#model.admin, effect).then(said => {
        this.#change({ said, retrying: false })
      })
  }

  #change(part: Partial<Model>): void {
    this.#model = { ...this.#model, ...part }
    this.#show()
  }

  #show(): void {
    const { columns, rows } = process.stdout
    // Some terminals do not say how large they are. A full last line would scroll others.
    const extent = { width: columns || 80, height: Math.max(1, (rows || 24) - 1) }
    this.#screen?.show(pageOf(this.#model, extent, Date.now()))
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })

/** Has an exporter try what waits; what is to be said of it. */
export async function retried(
  admin: string,
  { exporter, signal }: { exporter: string; signal: string },
): Promise<string> {
  try {
    const answer = (await ask(admin, '/v1/retry', { exporter, signal }, 15_000)) as {
      readonly retried: RetryDocument[]
    }
    return escaped(answer.retried.map(one => retryText(one).trim()).join('; '))
  } catch (error) {
    if (error instanceof NoPageError) return `this version of Kymo has no retry: ${escaped(error.message)}`
    if (error instanceof AskError) return escaped(error.message.split('\n', 1)[0] ?? '')
    return escaped(String(error))
  }
}
