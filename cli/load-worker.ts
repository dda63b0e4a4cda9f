/** What a thread that is started from this program does. */
import { components } from '../components.ts'
import { serveLoad } from '../plan/load-apart.ts'

/** The module that threads are started from: the one the process was. */
export const threadEntry = new URL(import.meta.url.endsWith('.ts') ? 'main.ts' : '', import.meta.url)

/** Does what the thread was started for. */
export async function serveThread(): Promise<void> {
  if (serveLoad(components)) return
  const { servePrinting } = await import('./printed-apart.ts')
  servePrinting(components)
}
