/**
 * The configuration that runs, as `kymo print-config --origin` has it. It is made of the texts that it was read from, which are
 * kept, because the files may say something else by now; and in a thread, because it takes long.
 */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { effectiveOf } from '../config/effective.ts'
import { messageOf } from '../core/errors.ts'
import type { Listed } from '../core/listed.ts'
import { loadListedPlan } from '../plan/load.ts'
import { type ApartOptions, mayStart, resourceLimits } from '../plan/load-apart.ts'
import { rendered } from './print-config.ts'
import type { ReadTexts } from './read-texts.ts'

/** Milliseconds after which nothing is to be expected any more. */
const patience = 30_000
const mark = 'kymo: print a configuration'

/** What a thread is told. */
interface Told {
  readonly mark: string
  readonly options: ApartOptions
  readonly texts: ReadonlyMap<string, string>
}

/** The configuration that was read from these texts with these options. Where threads are forbidden it is printed here. */
export async function printedApart(
  options: ApartOptions,
  read: ReadTexts,
  { components, entry }: { readonly components: readonly Listed[]; readonly entry: URL },
): Promise<string> {
  if (read.isTooLarge) throw new Error('the configuration is too large to be kept as it was read')
  const told: Told = { mark, options, texts: read.texts }
  if (!mayStart()) return printed(told, components)
  const { env = process.env } = options
  const worker = new Worker(entry, {
    resourceLimits,
    workerData: { ...told, options: { ...options, env: { ...env } } },
  })
  try {
    const [answer] = (await once(worker, 'message', { signal: AbortSignal.timeout(patience) })) as [Printed]
    if (answer.text === undefined) throw new Error(answer.error)
    return answer.text
  } finally {
    await worker.terminate()
  }
}

interface Printed {
  readonly text?: string
  readonly error?: string
}

/** In the thread: prints what it was started for. False when it was started for something else. */
export function servePrinting(components: readonly Listed[]): boolean {
  const told = workerData as Told | null
  const port = parentPort
  if (told?.mark !== mark || port === null) return false
  const answer = (made: Printed): void => port.postMessage(made)
  printed(told, components).then(
    text => answer({ text }),
    (error: unknown) => answer({ error: messageOf(error) }),
  )
  return true
}

async function printed({ options, texts }: Told, components: readonly Listed[]): Promise<string> {
  const readFile = (path: string): string => {
    const text = texts.get(path)
    if (text === undefined) throw new Error('it was not read when the configuration was')
    return text
  }
  const loaded = await loadListedPlan({ ...options, components, readFile })
  return rendered(effectiveOf(loaded), { format: 'yaml', mode: 'redacted', origin: true })
}
