/** POST `/v1/check`: whether the destinations of what runs would take data. */
import type { Configured } from '../core/configured.ts'
import type { ActionRoute } from './api.ts'
import { Query, QueryError, wordsOf } from './query.ts'

/** How long a step may take unless said, and at most, in milliseconds. */
const usual = 5000
const longest = 60_000

/** What is done when somebody asks about what `running` gives, which is nothing while it does not run. */
export function connectionRoutes(running: () => Configured | undefined): readonly ActionRoute[] {
  let isBusy = false
  return [
    {
      path: '/v1/check',
      deed: 'looked whether destinations would take data',
      async act(body) {
        const query = new Query(wordsOf(body), ['exporters', 'timeout'])
        const timeout = stepTime(query.duration('timeout'))
        const configured = running()
        if (configured === undefined) throw new QueryError(503, 'nothing runs at the moment', 'ask again in a while')
        if (isBusy) throw new QueryError(409, 'somebody else is looking at the moment', 'ask again when that has ended')
        isBusy = true
        try {
          const exporters = query.text('exporters')?.split(',') ?? []
          const { checkConnections } = await import('./connections.ts')
          return await checkConnections(configured, { exporters, timeout, isRunning: true })
        } finally {
          isBusy = false
        }
      },
    },
  ]
}

/** Milliseconds that a step may take, if it is to be `asked`. @throws QueryError where none could take so long */
export function stepTime(asked: number | undefined): number {
  if (asked === undefined) return usual
  if (asked >= 1 && asked <= longest) return asked
  throw new QueryError(400, 'a step may take from 1ms to 60s')
}
