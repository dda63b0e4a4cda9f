/** Sockets, servers and timers of this process. */

/** What keeps the process alive, by kind: sockets, servers, timers. */
export function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const one of process.getActiveResourcesInfo()) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts
}

/** Waits without a timer, which would be seen. */
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5000
  while (!holds() && performance.now() < end) await new Promise(resolve => setImmediate(resolve))
}

/** What is there once the tests before have let go of theirs: one server of ours and no connection. */
export async function quiet(): Promise<Map<string, number>> {
  const busy = () => ['TCPSocketWrap', 'SimpleShutdownWrap'].some(kind => resources().has(kind))
  await until(() => !busy() && resources().get('TCPServerWrap') === 1)
  return resources()
}

/** What stays there that was not there before. */
export async function surplus(before: Map<string, number>): Promise<[kind: string, count: number][]> {
  const more = () => [...resources()].filter(([kind, n]) => n > (before.get(kind) ?? 0))
  await until(() => more().length === 0)
  return more()
}
