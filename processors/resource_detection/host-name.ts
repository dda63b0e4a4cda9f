import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { messageOf } from '../../core/errors.ts'

export const hostNameSources = ['dns', 'os', 'cname', 'lookup'] as const
export type HostNameSource = (typeof hostNameSources)[number]

/** The name of the host from the first source that has one. @throws what kept each of them from it */
export async function hostName(sources: readonly HostNameSource[], abort: AbortSignal): Promise<string> {
  const problems: string[] = []
  for (const source of sources) {
    try {
      return await from[source](abort)
    } catch (error) {
      if (abort.aborted) throw error
      problems.push(`${source}: ${messageOf(error)}`)
    }
  }
  throw new Error(`no source has the name of the host (${problems.join('; ')})`)
}

const from: Readonly<Record<HostNameSource, (abort: AbortSignal) => Promise<string>>> = {
  os: async () => hostname(),
  dns: async abort => {
    const short = hostname()
    return fullNameIn(await readFile('/etc/hosts', 'utf8').catch(() => ''), short) ?? fullNameOf(short, abort)
  },
  cname: async abort => {
    const [name] = await ask(abort, resolver => resolver.resolveCname(hostname()))
    return named(name)
  },
  lookup: async abort => {
    const addresses = Object.values(networkInterfaces())
      .flatMap(those => those ?? [])
      .filter(({ internal }) => !internal)
    for (const { address } of addresses) {
      const [name] = await ask(abort, resolver => resolver.reverse(address)).catch(() => [])
      if (name !== undefined) return named(name)
    }
    throw new Error('no address of this host has a name')
  },
}

/** The first name of the line of /etc/hosts that has `short` among its names, if that is a full one. */
export function fullNameIn(hosts: string, short: string): string | undefined {
  for (const line of hosts.split('\n')) {
    const [, ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    const [full] = names
    if (full !== undefined && full.includes('.') && names.includes(short)) return named(full)
  }
  return undefined
}

async function fullNameOf(short: string, abort: AbortSignal): Promise<string> {
  const { address } = await abortable(abort, lookup(short))
  const [name] = await ask(abort, resolver => resolver.reverse(address))
  return named(name)
}

async function ask<T>(abort: AbortSignal, question: (resolver: Resolver) => Promise<T>): Promise<T> {
  const resolver = new Resolver()
  const cancel = (): void => resolver.cancel()
  abort.addEventListener('abort', cancel, { once: true })
  try {
    return await question(resolver)
  } finally {
    abort.removeEventListener('abort', cancel)
  }
}

/** Does not wait longer for what cannot be cancelled. */
async function abortable<T>(abort: AbortSignal, work: Promise<T>): Promise<T> {
  abort.throwIfAborted()
  let stop: () => void = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Error('took too long'))
    abort.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    abort.removeEventListener('abort', stop)
  }
}

/** A name without the dot of the root. */
function named(name: string | undefined): string {
  if (name === undefined || name === '') throw new Error('no name is known')
  return name.replace(/\.$/, '')
}
