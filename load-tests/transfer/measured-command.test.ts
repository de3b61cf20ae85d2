import { runMeasured } from './measured-command.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

const node = (script: string): [string, ...string[]] => [process.execPath, '-e', script];
const options = { environment: {}, signal: new AbortController().signal };

onLinux('runMeasured', () => {
  test('measures time, CPU time and memory of a command', async () => {
    const script = `
      const memory = Buffer.alloc(64 * 2 ** 20, 1);
      while (process.cpuUsage().user < 200_000);
      process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
    `;
    const { seconds, cpuSeconds, peakBytes, stdout } = await runMeasured(node(script), options);
    expect(seconds).toBeGreaterThan(0.1);
    expect(cpuSeconds).toBeGreaterThanOrEqual(0.19);
    expect(cpuSeconds).toBeLessThan(seconds * 4);
    expect(peakBytes).toBeGreaterThan(64 * 2 ** 20);
    expect(peakBytes).toBeLessThanOrEqual(Number(stdout) * 1.1);
  });

  test('hands on the lines of standard error as they come', async () => {
    const lines: string[] = [];
    await runMeasured(node(`console.error('one\\ntwo')`), { ...options, onErrorLine: (line) => lines.push(line) });
    expect(lines).toEqual(['one', 'two']);
  });

  test('hands down the environment that it is given and nothing else', async () => {
    const script = "process.stdout.write(process.env.GIVEN + ' ' + process.env.PATH)";
    const { stdout } = await runMeasured(node(script), { ...options, environment: { GIVEN: 'yes' } });
    expect(stdout).toBe('yes undefined');
  });

  test('rejects when the command fails, with what it said', async () => {
    const failing = runMeasured(node(`console.error('no such thing'); process.exitCode = 3`), options);
    await expect(failing).rejects.toThrow(/failed \(exit code 3\): .*\nno such thing/s);
  });

  test('rejects when there is no such program', async () => {
    await expect(runMeasured(['no-such-program'], options)).rejects.toThrow('ENOENT');
  });

  test('ends the command when told to stop', async () => {
    const stop = new AbortController();
    const running = runMeasured(node(`console.error('up'); setInterval(() => {}, 1000)`), {
      environment: {},
      signal: stop.signal,
      onErrorLine: () => stop.abort(),
    });
    await expect(running).rejects.toThrow('aborted');
  });
});
