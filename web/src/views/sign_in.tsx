// The door: sign in, sign up, a forgotten password, or, on a new server, the first admin.
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, type Setup } from '../api';
import { Problem, words } from '../problem';
import { Logo } from '../ui/icons';

type Mode = 'sign-in' | 'sign-up' | 'set-up' | 'forgot' | 'reset';

/** The token of a mailed link (/#/reset/TOKEN), null elsewhere. No server sees what is behind a #. */
export function resetToken(): string | null {
  return /^#\/reset\/([\w-]+)$/.exec(location.hash)?.[1] ?? null;
}

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

const LEAD = 'Music, streamed from here.';

const texts: Record<Mode, { title: string; lead: string; button: string }> = {
  'sign-in': { title: 'Welcome back', lead: LEAD, button: 'Sign in' },
  'sign-up': { title: 'Join and listen', lead: LEAD, button: 'Sign up' },
  'set-up': {
    title: 'Set up this server',
    lead: 'One account to look after it. Everyone else can join after that.',
    button: 'Create the admin account',
  },
  forgot: {
    title: 'Forgot your password?',
    lead: 'We mail you a link to choose a new one.',
    button: 'Send the mail',
  },
  reset: {
    title: 'A new password',
    lead: 'It ends your sessions everywhere else.',
    button: 'Set the password',
  },
};

/** What to say once it is done and nobody is signed in by it, else nothing. */
async function submit(mode: Mode, data: FormData): Promise<string> {
  const text = (name: string) => String(data.get(name) ?? '');
  const password = text('password');
  switch (mode) {
    case 'sign-in':
      await api.login(text('username'), password);
      return '';
    case 'sign-up':
      await api.register(text('username'), text('email'), password);
      return '';
    case 'set-up':
      await api.setUp(text('code').trim(), text('username'), password);
      return '';
    case 'forgot':
      return (await api.forgot(text('username'))).mail
        ? 'If there is such an account, a mail is on its way.'
        : 'This server sends no mail. Ask its admin for a new password.';
    case 'reset':
      await api.reset(resetToken() ?? '', password);
      return 'The new password is set. Sign in with it.';
  }
}

function Fields({ mode, error }: { mode: Mode; error: unknown }) {
  const field = (name: string) => (error instanceof Problem ? error.field(name) : '');
  const isNew = mode !== 'sign-in';
  const isReset = mode === 'reset';
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
      {!isReset && (
        <Field
          name="username"
          label={mode === 'forgot' ? 'Name or e-mail' : 'Name'}
          autocomplete="username"
          autofocus={mode !== 'set-up'}
          error={field('username') || (mode === 'forgot' ? field('email') : '')}
        />
      )}
      {mode === 'sign-up' && (
        <Field name="email" label="E-mail" type="email" autocomplete="email" error={field('email')} />
      )}
      {mode !== 'forgot' && (
        <Field
          name="password"
          label="Password"
          type="password"
          autocomplete={isNew ? 'new-password' : 'current-password'}
          minLength={isNew ? 8 : undefined}
          hint={isNew ? PASSWORD_HINT : undefined}
          autofocus={isReset}
          error={field('password') || field('token')}
        />
      )}
    </>
  );
}

export function SignIn() {
  const [setup, setSetup] = useState<Setup | null>(null);
  const [mode, setMode] = useState<Mode>(resetToken() ? 'reset' : 'sign-in');
  const [error, setError] = useState<unknown>(null);
  const [note, setNote] = useState('');
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    api.setupState().then(
      (state) => {
        setSetup(state);
        setMode((mode) => (state.needed ? 'set-up' : mode));
      },
      () => setSetup({ needed: false, registration: 'open' }),
    );
  }, []);

  function choose(next: Mode): void {
    if (resetToken()) {
      history.replaceState(null, '', location.pathname);
    }
    setMode(next);
    setError(null);
    setNote('');
  }

  async function onSubmit(event: JSX.TargetedSubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    try {
      const done = await submit(mode, data);
      if (done) {
        choose('sign-in');
        setNote(done);
      }
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  }

  const general = error instanceof Problem && error.document.errors?.length ? null : error;
  return (
    <main class="door">
      <div class="door-card">
        <div class="door-head">
          <Logo size={52} />
          <h1>{texts[mode].title}</h1>
          <p role="status">{note || texts[mode].lead}</p>
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
        {mode === 'sign-in' && (
          <p class="door-foot">
            <button class="link" onClick={() => choose('forgot')}>Forgot your password?</button>
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
