import * as z from 'zod'
import { pause } from '../core/clock.ts'
import { type ComponentContext, defineExtension, type Extension } from '../core/component.ts'
import { messageOf } from '../core/errors.ts'
import { int } from '../core/fields.ts'
import { openToAppend } from '../core/own-file.ts'
import { pageServer } from '../net/http-server-keys.ts'
import { type Page, textPage } from '../net/page-server.ts'
import { ProfileBusyError, type ProfileKind, profileUntil } from '../telemetry/profile.ts'
import { longestProfile, profileSeconds } from '../telemetry/profile-terms.ts'
import { PageListener } from './page-listener.ts'

const noSuch = (what: string) => int().default(0).describe(`Accepted, without effect: Kymo has no ${what}.`)

const config = pageServer({ endpoint: 'localhost:1777' }).safeExtend({
  block_profile_fraction: noSuch('goroutines that block'),
  mutex_profile_fraction: noSuch('mutexes'),
  save_to_file: z
    .string()
    .default('')
    .describe('A file for the CPU profile of the whole run, written when the extension stops; none is taken if empty.'),
})
type Config = z.output<typeof config>

/** Profiles on a port of their own, at the paths of Go's net/http/pprof. */
export const pprof = defineExtension<Config>({
  type: 'pprof',
  stability: 'beta',
  runs: 'one',
  summary: 'Serves CPU and heap profiles that `go tool pprof` reads.',
  signals: [],
  config,
  examples: [
    { title: 'For this machine', config: {} },
    { title: 'Of the whole run, in a file', config: { save_to_file: '/var/tmp/kymo.pprof' } },
  ],
  create: (config, context) => new Pprof(config, context),
})

const kinds: Readonly<Record<string, ProfileKind>> = {
  '/debug/pprof/profile': 'cpu',
  '/debug/pprof/heap': 'heap',
  '/debug/pprof/allocs': 'heap',
}

const index = `Profiles of this process, for go tool pprof:

/debug/pprof/profile?seconds=30   where CPU time goes, during so long
/debug/pprof/heap?seconds=10      what is allocated during so long and is still there at the end

At most ${longestProfile} seconds; one at a time. There are no goroutines, blocks, mutexes and threads to tell of.
`

class Pprof implements Extension {
  readonly #config: Config
  readonly #context: ComponentContext
  readonly #listener: PageListener
  readonly #stopping = new AbortController()
  #saving: Promise<void> | undefined

  constructor(config: Config, context: ComponentContext) {
    this.#config = config
    this.#context = context
    this.#listener = new PageListener(config, context, (path, query) => this.#page(path, query))
  }

  start(): Promise<void> {
    return this.#listener.start()
  }

  run(): void {
    if (this.#config.save_to_file !== '') this.#saving = this.#save(this.#config.save_to_file)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#saving
    await this.#listener.stop()
  }

  /** Looks until the extension stops. A file that cannot be written is told, and hurts nobody. */
  async #save(path: string): Promise<void> {
    const { signal } = this.#stopping
    try {
      const until = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
      const profile = await profileUntil('cpu', until)
      const file = await openToAppend(path, 0o600, true)
      try {
        await file.writeFile(profile)
      } finally {
        await file.close()
      }
    } catch (error) {
      this.#context.log.error({ path, error: messageOf(error) }, 'the profile cannot be saved')
    }
  }

  #page(path: string, query: URLSearchParams): Page | Promise<Page> | undefined {
    if (path === '/debug/pprof' || path === '/debug/pprof/') return textPage(200, index)
    const kind = Object.hasOwn(kinds, path) ? kinds[path] : undefined
    if (kind === undefined) return path.startsWith('/debug/pprof/') ? textPage(404, index) : undefined
    const seconds = profileSeconds(kind, query.get('seconds') ?? undefined)
    if (seconds === undefined) return textPage(400, `seconds: more than 0, ${longestProfile} at most`)
    return this.#profile(kind, seconds)
  }

  async #profile(kind: ProfileKind, seconds: number): Promise<Page> {
    const until = pause(this.#context.clock, seconds * 1000, this.#stopping.signal)
    try {
      const body = await profileUntil(kind, until)
      const headers = { 'content-disposition': `attachment; filename="kymo-${kind}.pprof"` }
      return { status: 200, type: 'application/octet-stream', text: '', body, headers }
    } catch (error) {
      if (error instanceof ProfileBusyError) return textPage(503, error.message)
      throw error
    }
  }
}
