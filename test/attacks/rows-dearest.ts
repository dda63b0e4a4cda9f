/** What the search for the dearest input has found (dearest.json), as attacks. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { signals } from '../../proto/signals.ts'
import { type Attack, Caller, once, post, repeat } from './attack.ts'
import type { Find } from './dearest-archive.ts'
import { pack } from './dearest-cost.ts'
import { message } from './frames.ts'
import { adminToken } from './victims.ts'

/** The finds that are kept. */
export const finds = JSON.parse(readFileSync(join(import.meta.dirname, 'dearest.json'), 'utf8')) as readonly Find[]

function attackOf(find: Find, i: number): Attack {
  const { way, language, signal, victim, encoding, body } = find
  const sent = once(() => pack(find).sent)
  return {
    name: `dearest ${i + 1}: ${JSON.stringify(body)} as ${language} of ${signal}, ${encoding}, over ${way}`,
    of: 'dear',
    victim,
    seconds: 12,
    prepare: sent,
    async run(target) {
      const caller = way === 'gRPC' ? new Caller(target) : undefined
      const compressed = encoding !== 'identity'
      await repeat(target, 3, 1, async () => {
        if (caller !== undefined) {
          const headers = compressed ? { 'grpc-encoding': encoding } : {}
          await caller.call(signal, message(sent(), { compressed }), headers)
        } else if (way === 'config') {
          const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' }
          await post(target, '/v1/config?dry_run=true', sent(), headers, target.ports.admin)
        } else {
          const type = language === 'json' ? { 'content-type': 'application/json' } : {}
          const packed = compressed ? { 'content-encoding': encoding } : {}
          await post(target, signals[signal].path, sent(), { ...type, ...packed })
        }
      })
      caller?.close()
    },
  }
}

/** The rows. */
export const dearestAttacks: readonly Attack[] = finds.map(attackOf)

/** Bytes that a find of the short form has at most. */
const small = 4_000_000

/** Those that take a moment, for a gateway as others have it. */
export const smallestDearest: readonly Attack[] = dearestAttacks
  .filter((_, i) => finds[i].victim === 'gateway' && finds[i].cost.inflated + finds[i].cost.sent <= small)
  .slice(0, 4)
