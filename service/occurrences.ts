/** What the service notes on the time axis of the process. */
import type { ToldOccurrence } from '../core/chronicle.ts'
import type { Kind } from '../core/component.ts'
import { isTrouble, type State, type Status } from '../core/status.ts'
import type { Deed } from './admin-pages.ts'
import type { LastReload } from './reloads.ts'

/** Errors and changes of a reload that are told. */
const mostTold = 10

/** A component is in another state than before; undefined for what only starting and stopping bring along. */
export function stateOccurrence(
  { kind, id }: { readonly kind: Kind; readonly id: string },
  status: Status,
  from: State,
): ToldOccurrence | undefined {
  const { state } = status
  if (!isTrouble(state) && (state !== 'OK' || from !== 'RecoverableError')) return undefined
  return {
    kind: 'component',
    component: id,
    text: `${kind} ${id}: ${from} -> ${state}`,
    detail: isTrouble(state) ? status.lastError : undefined,
    fields: { component_kind: kind, from, to: state },
  }
}

/** A reload, with who asked for it and what came of it. */
export function reloadOccurrence(last: LastReload, hash: string): ToldOccurrence {
  const { trigger, by, result, plan, errors = [], restart_needed = [] } = last
  const changes = (plan?.components ?? []).map(({ action, kind, id }) => `${action} ${kind} ${id}`)
  const who = { trigger, ...(by === undefined ? {} : { by }), result }
  if (result === 'failed') {
    const [first] = errors
    const where = first?.file === undefined ? '' : `${first.file}:${first.line ?? 1}: `
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
    return {
      kind: 'reload',
      text: 'the reload failed, what ran goes on',
      detail: `${where}${first?.message ?? 'no reason is known'}${more}`,
      fields: { ...who, errors: errors.slice(0, mostTold), errors_total: errors.length },
    }
  }
  if (result !== 'applied') return { kind: 'reload', text: 'reloaded: nothing has changed', fields: who }
  const shown = changes.slice(0, mostTold)
  const more = changes.length > shown.length ? `, and ${changes.length - shown.length} more` : ''
  return {
    kind: 'reload',
    text: 'another configuration was taken over',
    detail: `${shown.join(', ')}${more}`,
    fields: { ...who, hash, changes: shown, changes_total: changes.length, restart_needed },
  }
}

/** Somebody did something through the admin server. */
export function deedOccurrence({ what, by, words }: Deed): ToldOccurrence {
  const { component, exporter } = words
  const about = [component, exporter].find(one => typeof one === 'string')
  return {
    kind: 'action',
    component: typeof about === 'string' ? about : undefined,
    text: what,
    fields: { ...words, by },
  }
}
