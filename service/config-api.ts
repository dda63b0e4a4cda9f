/** The pages about the configuration: what runs, and how to make something else run. */
import { messageOf } from '../core/errors.ts'
import type { Route, TextRoute, Told } from './api.ts'
import { Query, QueryError, type RawQuery } from './query.ts'
import type { ReloadOutcome, ReloadRequest, Reloads } from './reloads.ts'
import { time } from './status.ts'

/** The pages. */
export function configRoutes(reloads: Reloads): readonly (Route | TextRoute)[] {
  return [
    {
      path: '/v1/config',
      answer(_, query) {
        void new Query(query, [])
        return reloadDocument(reloads)
      },
    },
    {
      path: '/v1/config/effective',
      async answer(_, query) {
        void new Query(query, [])
        try {
          return await reloads.printed()
        } catch (error) {
          const hint = '`kymo print-config --origin` prints what is in the files now'
          throw new QueryError(503, `the configuration cannot be told: ${messageOf(error)}`, hint)
        }
      },
    },
    {
      path: '/v1/config',
      stake: 'configuration',
      take(text, query, by) {
        if (text.trim() !== '') return reload(reloads, query, { trigger: 'request', text, by })
        const hint = 'to read the sources again, ask for /v1/reload'
        throw new QueryError(400, 'there is no configuration in the body', hint)
      },
    },
    {
      path: '/v1/reload',
      stake: 'action',
      take(text, query, by) {
        if (text.trim() === '') return reload(reloads, query, { trigger: 'request', by })
        throw new QueryError(400, 'the sources are read again; a body has no use', 'send it to /v1/config')
      },
    },
  ]
}

async function reload(reloads: Reloads, raw: RawQuery, request: ReloadRequest): Promise<Told> {
  const dryRun = new Query(raw, ['dry_run']).flag('dry_run')
  const outcome = await reloads.request({ ...request, dryRun })
  return { code: codeOf(outcome), body: outcome }
}

function codeOf({ result, errors = [] }: ReloadOutcome): number {
  switch (result) {
    case 'applied':
    case 'unchanged':
    case 'planned':
      return 200
    case 'failed':
      // Something is wrong with the text, or it is right and cannot be run here and now.
      return errors.some(({ code }) => code !== undefined) ? 400 : 409
    case 'superseded':
      return 409
    case 'refused':
      return 503
  }
}

/** What runs, and how the last reload went. */
export function reloadDocument({ hash, last, lastSuccess, reloads }: Reloads): object {
  return {
    hash,
    since: time(lastSuccess),
    reloads,
    last_reload: last === undefined ? null : { ...last, at: time(last.at), ok: last.result !== 'failed' },
  }
}
