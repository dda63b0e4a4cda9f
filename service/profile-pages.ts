/** `/debug/pprof/profile` and `/debug/pprof/heap`: profiles for `go tool pprof`, for whoever may act. */
import { Readable } from 'node:stream'
import { type Clock, pause } from '../core/clock.ts'
import { longestProfile, profileSeconds } from '../telemetry/profile-terms.ts'
import type { FlowRoute } from './api.ts'
import { Query, QueryError } from './query.ts'

const pages = [
  { path: '/debug/pprof/profile', kind: 'cpu', deed: 'a CPU profile was taken' },
  { path: '/debug/pprof/heap', kind: 'heap', deed: 'a heap profile was taken' },
] as const

/** The pages. Profiling costs some CPU while it goes on, and is loaded when somebody asks. */
export const profileRoutes = (clock: Clock): readonly FlowRoute[] =>
  pages.map(({ path, kind, deed }) => ({
    path,
    deed,
    async flow(raw) {
      const seconds = profileSeconds(kind, new Query(raw, ['seconds']).text('seconds'))
      if (seconds === undefined) throw new QueryError(400, `\`seconds\` is a number above 0, ${longestProfile} at most`)
      const { ProfileBusyError, profileUntil } = await import('../telemetry/profile.ts')
      try {
        const profile = await profileUntil(kind, pause(clock, seconds * 1000, new AbortController().signal))
        return { contentType: 'application/octet-stream', stream: Readable.from([profile]) }
      } catch (error) {
        if (error instanceof ProfileBusyError) throw new QueryError(503, error.message)
        throw error
      }
    },
  }))
