// The door: sign in, sign up, or, on a new server, the first admin.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, type Setup } from '../api';
import { Problem, words } from '../problem';
import { Logo } from '../ui/icons';

type Mode = 'sign-in' | 'sign-up' | 'set-up';

interface FieldProps {
  name: string;
  label: string;
  type?: string;
  autocomplete: string;
  hint?: string;
  error?: string;
  minLength?: number;
  autofocus?: boolean;
}

function Field({ name, label, hint, error, type = 'text', autofocus, ...rest }: FieldProps) {
  const note = error || hint;
  return (
    <label class={`field${error ? ' wrong' : ''}`}>
      <span>{label}</span>
      <input
        name={name}
        type={type}
        required
        autofocus={autofocus}
        autocapitalize="none"
        spellcheck={false}
        aria-invalid={error ? 'true' : undefined}
        aria-describedby={note ? `${name}-note` : undefined}
        {...rest}
      />
      {note && (
        <small id={`${name}-note`} role={error ? 'alert' : undefined}>
          {note}
        </small>
      )}
    </label>
  );
}

const PASSWORD_HINT = 'At least 8 characters. A few words make a good one.';

const texts: Record<Mode, { title: string; button: string }> = {
  'sign-in': { title: 'Welcome back', button: 'Sign in' },
  'sign-up': { title: 'Join and listen', button: 'Sign up' },
  'set-up': { title: 'Set up this server', button: 'Create the admin account' },
};

function submit(mode: Mode, data: FormData): Promise<void> {
  const text = (name: string) => String(data.get(name) ?? '');
  const password = text('password');
  switch (mode) {
    case 'sign-in':
      return api.login(text('username'), password);
    case 'sign-up':
      return api.register(text('username'), text('email'), password);
    case 'set-up':
      return api.setUp(text('code').trim(), text('username'), password);
  }
}

function Fields({ mode, error }: { mode: Mode; error: unknown }) {
  const field = (name: string) => (error instanceof Problem ? error.field(name) : '');
  const isNew = mode !== 'sign-in';
  return (
    <>
      {mode === 'set-up' && (
        <Field
          name="code"
          label="Set-up code"
          autocomplete="off"
          autofocus
          hint="It is in the file setup-code in the server’s data directory, and on the terminal it was started from."
          error={field('code')}
        />
      )}
      <Field name="username" label="Name" autocomplete="username" autofocus={mode !== 'set-up'} error={field('username')} />
      {mode === 'sign-up' && (
        <Field name="email" label="E-mail" type="email" autocomplete="email" error={field('email')} />
      )}
      <Field
        name="password"
        label="Password"
        type="password"
        autocomplete={isNew ? 'new-password' : 'current-password'}
        minLength={isNew ? 8 : undefined}
        hint={isNew ? PASSWORD_HINT : undefined}
        error={field('password')}
      />
    </>
  );
}

export function SignIn() {
  const [setup, setSetup] = useState<Setup | null>(null);
  const [mode, setMode] = useState<Mode>('sign-in');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    api.setupState().then(
      (state) => {
        setSetup(state);
        setMode(state.needed ? 'set-up' : 'sign-in');
      },
      () => setSetup({ needed: false, registration: 'open' }),
    );
  }, []);

  function choose(next: Mode): void {
    setMode(next);
    setError(null);
  }

  async function onSubmit(event: JSX.TargetedSubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    await submit(mode, data).catch(setError);
    setBusy(false);
  }

  const general = error instanceof Problem && error.document.errors?.length ? null : error;
  return (
    <main class="door">
      <div class="door-card">
        <div class="door-head">
          <Logo size={52} />
          <h1>{texts[mode].title}</h1>
          <p>{mode === 'set-up' ? 'One account to look after it. Everyone else can join after that.' : 'Music, streamed from here.'}</p>
        </div>
        <form onSubmit={(event) => void onSubmit(event)} key={mode}>
          <Fields mode={mode} error={error} />
          <p class="form-error" role="alert">
            {general ? words(general) : ''}
          </p>
          <button class="button primary wide" disabled={busy || !setup}>
            {texts[mode].button}
          </button>
        </form>
        {mode === 'sign-in' && setup?.registration === 'open' && (
          <p class="door-foot">
            New here? <button class="link" onClick={() => choose('sign-up')}>Sign up</button>
          </p>
        )}
        {mode !== 'sign-in' && (
          <p class="door-foot">
            Have an account? <button class="link" onClick={() => choose('sign-in')}>Sign in</button>
          </p>
        )}
      </div>
    </main>
  );
}
